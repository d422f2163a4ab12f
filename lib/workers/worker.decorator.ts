import { SetMetadata } from '@nestjs/common';
import type { WorkerOptions } from './worker-options.js';

/** Under what `@Worker()` keeps its options on a class. Fixed, so that two copies of this package agree. */
export const WORKER_METADATA: unique symbol = Symbol.for('nestjs-worker:worker') as never;

/**
 * Makes a class a worker: wherever it is provided in an app that imports `WorkerModule`, its `run(ctx)` is
 * started once the app has bootstrapped, restarted as the options say, and stopped when the app shuts down.
 * `@Injectable()` is not needed beside it. A subclass is a worker only if it is decorated itself.
 */
export function Worker(options: WorkerOptions = {}): ClassDecorator {
  return SetMetadata(WORKER_METADATA, options);
}
