export { WorkerLoggingModule } from './worker-logging.module.js';
