import { has, type Need, type ResolvedConformance } from './conformance-options.js';
import { Trial } from './trial.js';

/** Declares the tests of one part of the contract. */
export interface Part {
  readonly options: ResolvedConformance;
  /** Declares a test. One that needs what the backend does not have is skipped, and says so. */
  readonly it: (name: string, body: (trial: Trial) => Promise<void>, ...needs: readonly Need[]) => void;
}

export function partOf(options: ResolvedConformance): Part {
  const { it } = options.runner;
  return {
    options,
    it(name, body, ...needs) {
      const run = (): Promise<void> => Trial.run(options, body);
      const missing = needs.filter((need) => !has(need, options));
      if (missing.length > 0) it.skip(`${name} (not asked: ${missing.join(', ')})`, run);
      else it(name, run);
    },
  };
}
