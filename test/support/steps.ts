import { Session } from 'node:inspector/promises';

/**
 * Counts what code does, where a stopwatch would measure the machine: how often functions and blocks of it are entered,
 * the bodies of loops among them. What V8 does by itself, such as moving the items of an array, is no step. Files are to
 * be imported once a counter is there: V8 counts no blocks in what it has compiled before.
 */
export class StepCounter {
  readonly #session = new Session();
  readonly #counts: (url: string) => boolean;

  private constructor(counts: (url: string) => boolean) {
    this.#counts = counts;
  }

  /** `counts`: whether the steps of the file at that URL count. */
  static async start(counts: (url: string) => boolean): Promise<StepCounter> {
    const counter = new StepCounter(counts);
    counter.#session.connect();
    await counter.#session.post('Profiler.enable');
    await counter.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    return counter;
  }

  /** How many steps it takes to `run`. */
  async stepsOf(run: () => Promise<void>): Promise<number> {
    // Sets all counts to 0.
    await this.#session.post('Profiler.takePreciseCoverage');
    await run();
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    return result
      .filter(({ url }) => this.#counts(url))
      .flatMap(({ functions }) => functions)
      .flatMap(({ ranges }) => ranges)
      .reduce((sum, { count }) => sum + count, 0);
  }

  async stop(): Promise<void> {
    await this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }
}
