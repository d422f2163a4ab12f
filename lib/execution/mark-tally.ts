import type { Distribution } from './distribution.js';

/** A series of segments between marks: those of one action, under one scope, that ended alike. */
export interface MarkSeries {
  readonly scope: string;
  readonly action: string;
  readonly outcome: 'success' | 'error';
}

/** Distributions of the segments between marks, made as they come. */
export class MarkTally {
  readonly #byScope = new Map<string, Map<string, Partial<Record<MarkSeries['outcome'], Distribution>>>>();
  readonly #make: (series: MarkSeries) => Distribution;

  /** `make` is called once for each series. */
  constructor(make: (series: MarkSeries) => Distribution) {
    this.#make = make;
  }

  add(scope: string, action: string, outcome: MarkSeries['outcome'], durationMs: number): void {
    let actions = this.#byScope.get(scope);
    if (actions === undefined) this.#byScope.set(scope, (actions = new Map()));
    let outcomes = actions.get(action);
    if (outcomes === undefined) actions.set(action, (outcomes = {}));
    const distribution = (outcomes[outcome] ??= this.#make({ scope, action, outcome }));
    distribution.add(durationMs / 1_000);
  }
}
