export { WorkerSpanProcessor } from './worker-span-processor.js';
export { WorkerTracingModule } from './worker-tracing.module.js';
export type { WorkerTracingOptions } from './worker-tracing-options.js';
