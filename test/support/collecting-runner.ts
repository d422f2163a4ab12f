import { setTimeout as delay } from 'node:timers/promises';
import type { ConformanceRunner } from 'nestjs-worker/testing';

interface Collected {
  readonly name: string;
  readonly body: () => Promise<void>;
}

/** Keeps the tests that are declared with it, to be run by a test. */
export class CollectingRunner implements ConformanceRunner {
  readonly tests: Collected[] = [];
  readonly skipped: string[] = [];
  #path: readonly string[] = [];

  readonly describe = (name: string, body: () => void): void => {
    const outer = this.#path;
    this.#path = [...outer, name];
    body();
    this.#path = outer;
  };

  readonly it = Object.assign(
    (name: string, body: () => Promise<void>): void => {
      this.tests.push({ name: [...this.#path, name].join(' > '), body });
    },
    {
      skip: (name: string): void => {
        this.skipped.push(name);
      },
    },
  );

  /** Runs all, and answers the names of those that failed or took longer than `patienceMs`. */
  async failures(patienceMs: number): Promise<string[]> {
    const failed: string[] = [];
    for (const { name, body } of this.tests) {
      const limit = new AbortController();
      const late = delay(patienceMs, 'late' as const, { signal: limit.signal }).catch(() => 'late' as const);
      const end = await Promise.race([
        body().then(
          () => 'passed' as const,
          () => 'failed' as const,
        ),
        late,
      ]);
      limit.abort();
      if (end !== 'passed') failed.push(name);
    }
    return failed;
  }
}
