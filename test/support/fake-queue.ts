import { type TaskContext, TaskQueue, type TaskQueueOptions, WorkerPool } from 'nestjs-worker';
import { EventRecorder, FakeClock, recordEvents } from 'nestjs-worker/testing';
import { RecordingLogger } from './recording-logger.js';

/** A clock whose time of day can be set apart from the time that passes. */
export class AdjustableClock extends FakeClock {
  /** By how much the time of day is off. */
  shiftMs = 0;
  /** How many timers were ever set. */
  timersSet = 0;

  override now(): number {
    return super.now() + this.shiftMs;
  }

  override setTimer(callback: () => void, delayMs: number): () => void {
    this.timersSet++;
    return super.setTimer(callback, delayMs);
  }
}

export interface BareQueue {
  readonly clock: AdjustableClock;
  readonly queue: TaskQueue;
  readonly logger: RecordingLogger;
  /** The queue's own pool, seen as one of workers: its events, and what it counts. */
  readonly pool: WorkerPool;
}

export interface FakeQueue extends BareQueue {
  readonly events: EventRecorder;
}

/** A queue made by hand whose time stands still and whose lines are kept. Nobody listens to its tasks. */
export function bareQueue(options: TaskQueueOptions = {}): BareQueue {
  const clock = new AdjustableClock();
  const logger = new RecordingLogger();
  const queue = new TaskQueue({ name: 'mail', clock, logger, ...options });
  return { clock, logger, queue, pool: new WorkerPool(queue.pool) };
}

/** The same, with all its events recorded from the first task on. */
export function fakeQueue(options: TaskQueueOptions = {}): FakeQueue {
  const bare = bareQueue(options);
  return { ...bare, events: recordEvents(bare.pool) };
}

/** How often user code beside the tasks has thrown. */
export const isolatedErrors = ({ pool }: BareQueue): number => pool.snapshot().isolatedErrors;

/** One attempt of a `ManualTask`: it ends when the test says so. */
export interface HeldAttempt {
  readonly ctx: TaskContext;
  succeed(value?: unknown): void;
  fail(error?: unknown): void;
}

/** A task that a test moves. By default it ends, as a good one does, when its signal aborts. */
export class ManualTask {
  readonly attempts: HeldAttempt[] = [];
  running = 0;
  mostAtOnce = 0;
  readonly #obedient: boolean;

  constructor({ obedient = true }: { obedient?: boolean } = {}) {
    this.#obedient = obedient;
  }

  /** The attempt under way, or the last one. */
  get attempt(): HeldAttempt {
    const last = this.attempts.at(-1);
    if (last === undefined) throw new Error('No attempt has begun.');
    return last;
  }

  readonly run = async (ctx: TaskContext): Promise<unknown> => {
    this.running++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    try {
      return await new Promise((resolve, reject) => {
        this.attempts.push({ ctx, succeed: resolve, fail: (error = new Error('boom')) => reject(error) });
        if (!this.#obedient) return;
        const obey = (): void => reject(ctx.signal.reason);
        ctx.signal.addEventListener('abort', obey);
        if (ctx.signal.aborted) obey();
      });
    } finally {
      this.running--;
    }
  };
}

/** Ends only when the test says so, whatever its signal says. */
export const stubborn = (): ManualTask => new ManualTask({ obedient: false });

/** How a promise stands, once everything that is under way at this moment has happened. */
export async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'fulfilled' | 'rejected'> {
  let state: 'pending' | 'fulfilled' | 'rejected' = 'pending';
  promise.then(
    () => (state = 'fulfilled'),
    () => (state = 'rejected'),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return state;
}

/** Events of the event loop that nobody caught while `run` went on. */
export async function unhandledDuring(run: () => Promise<unknown>): Promise<unknown[]> {
  const unhandled: unknown[] = [];
  const keep = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', keep);
  try {
    await run();
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('unhandledRejection', keep);
  }
  return unhandled;
}
