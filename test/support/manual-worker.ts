import type { RunnableWorker, WorkerContext } from 'nestjs-worker';

/** One attempt of a `ManualWorker`: it ends when the test says so. */
export class ManualAttempt {
  readonly promise: Promise<unknown>;
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;

  constructor(readonly ctx: WorkerContext) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  succeed(value?: unknown): void {
    this.#resolve(value);
  }

  fail(error: unknown = new Error('boom')): void {
    this.#reject(error);
  }
}

/** A worker that a test moves. By default it ends, as a good one does, when its signal aborts. */
export class ManualWorker implements RunnableWorker {
  readonly attempts: ManualAttempt[] = [];
  running = 0;
  mostAtOnce = 0;
  readonly #obedient: boolean;

  constructor({ obedient = true }: { obedient?: boolean } = {}) {
    this.#obedient = obedient;
  }

  /** The attempt under way, or the last one. */
  get attempt(): ManualAttempt {
    const last = this.attempts.at(-1);
    if (last === undefined) throw new Error('No attempt was started.');
    return last;
  }

  async run(ctx: WorkerContext): Promise<unknown> {
    const attempt = new ManualAttempt(ctx);
    this.attempts.push(attempt);
    this.running++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    if (this.#obedient) {
      const obey = (): void => attempt.fail(ctx.signal.reason);
      ctx.signal.addEventListener('abort', obey);
      if (ctx.signal.aborted) obey();
    }
    try {
      return await attempt.promise;
    } finally {
      this.running--;
    }
  }
}

/** Fails at once, each time. */
export const failing = (error: unknown = new Error('boom')): RunnableWorker & { runs: number } => ({
  runs: 0,
  run() {
    this.runs++;
    return Promise.reject(error);
  },
});

/** Runs until it is told to end. */
export const looping = (): RunnableWorker => ({ run: (ctx) => ctx.sleep(Infinity) });
