import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type TaskOptions, TaskQueue } from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import {
  createThreads,
  type InThreadOptions,
  type Threads,
  type ThreadsOptions,
} from 'nestjs-worker/threads';
import { onTestFinished } from 'vitest';
import { silentLogger } from '../../support/recording-logger.js';

export const calls = new URL('fixtures/calls.mjs', import.meta.url);

/** Threads that are gone when the test is over. */
export function someThreads(options?: ThreadsOptions): Threads {
  const threads = createThreads(options);
  onTestFinished(() => threads.close());
  return threads;
}

/** A queue whose time stands still, and a way to enqueue calls of `calls.mjs` in one thread of its own. */
export function someQueue(options?: ThreadsOptions) {
  const clock = new FakeClock();
  const queue = new TaskQueue({ clock, logger: silentLogger, concurrency: Infinity });
  const threads = someThreads({ maxThreads: 1, ...options });
  const call = <Result>(name: string, input?: unknown, task?: TaskOptions<Result>, rest?: InThreadOptions) =>
    queue.enqueue(threads.inThread<Result>(calls, input, { export: name, ...rest }), task);
  return { clock, queue, threads, call };
}

/** Numbers that all threads see. */
export function sharedNumbers(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

/** Lets those go on that `hold` their thread. */
export function release(counter: Int32Array): void {
  Atomics.store(counter, 1, 1);
  Atomics.notify(counter, 1);
}

/** Waits, turn by turn of the event loop. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** What `promise` rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('It did not fail with an Error', { cause: error });
  return error;
}

/** A named pipe: who reads it waits until it is opened. */
export function somePipe(): { readonly path: string; readonly open: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-threads-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const open = (): void => closeSync(openSync(path, 'r+'));
  onTestFinished(() => {
    open();
    rmSync(folder, { recursive: true });
  });
  return { path, open };
}
