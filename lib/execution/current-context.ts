import { AsyncLocalStorage } from 'node:async_hooks';
import type { WorkContext } from './attempt-context.js';
import type { WorkLogger } from './work-logger.js';
import type { WorkTracer } from './work-tracer.js';

// On globalThis under a versioned name: the ESM and the CommonJS copy of this package share one.
const key = Symbol.for('nestjs-worker:context:v1');
const shared = globalThis as { [key]?: AsyncLocalStorage<WorkContext> };

export const contextStorage: AsyncLocalStorage<WorkContext> = (shared[key] ??= new AsyncLocalStorage());

/** The context of the attempt in which this is called, however deep, or `undefined` outside of one. */
export function currentContext(): WorkContext | undefined {
  return contextStorage.getStore();
}

/** Runs `fn` as what is not part of any attempt. */
export function outsideOfWork<Result>(fn: () => Result): Result {
  return contextStorage.run(undefined as never, fn);
}

/** Name of the worker that is calling, or `undefined` where none is. */
export function currentWorkerName(): string | undefined {
  const context = contextStorage.getStore();
  return context?.kind === 'worker' ? context.name : undefined;
}

/** Id of the execution that is calling, or `undefined` outside of an attempt. */
export function currentExecutionId(): string | undefined {
  return contextStorage.getStore()?.executionId;
}

/** `ctx.logger` of the attempt that is calling, or `undefined` outside of one. */
export function currentLogger(): WorkLogger | undefined {
  return contextStorage.getStore()?.logger;
}

/** `ctx.tracer` of the attempt that is calling, or `undefined` outside of one. */
export function currentTracer(): WorkTracer | undefined {
  return contextStorage.getStore()?.tracer;
}
