import type { ModelJob } from './job-backend-model-job.js';
import type { ModelOptions } from './job-backend-model-options.js';
import { always, exactly, hasCome, type Moment } from './job-backend-model-time.js';

/** Who holds a unique key: more than one where that is a matter of a moment that nobody knows; `undefined`: nobody. */
export class ModelKeys {
  readonly #jobs: ReadonlyMap<string, ModelJob>;
  readonly #options: ModelOptions;
  readonly #holders = new Map<string, ReadonlySet<string | undefined>>();

  constructor(jobs: ReadonlyMap<string, ModelJob>, options: ModelOptions) {
    this.#jobs = jobs;
    this.#options = options;
  }

  /** For sure: somebody was told so. */
  isHeldBy(key: string, id: string): void {
    this.#holders.set(key, new Set([id]));
  }

  holdersOf(key: string | undefined, { at, since }: Moment): ReadonlySet<string | undefined> {
    const holders = (key === undefined ? undefined : this.#holders.get(key)) ?? [undefined];
    const possible = [...holders].flatMap((id) => {
      const keyUntil = (id === undefined ? undefined : this.#jobs.get(id)?.keyUntil) ?? always;
      const isFree = hasCome(keyUntil, { from: since, at }, this.#options.slackMs ?? 0);
      if (isFree === 'yes') return [undefined];
      return isFree === 'maybe' ? [id, undefined] : [id];
    });
    return new Set(possible);
  }

  /** A job that was dead holds its key again, where nobody else does. */
  hold({ id, given: { unique }, keyUntil }: ModelJob, moment: Moment): void {
    const { clock, slackMs = 0 } = this.#options;
    // What it holds is over when whoever retries it says so, and not the store by itself.
    const isOver = hasCome(clock === 'client' ? keyUntil : exactly(keyUntil.to), moment, slackMs);
    if (unique === undefined || isOver === 'yes') return;
    const holders = [...this.holdersOf(unique.key, moment)];
    const asBefore = isOver === 'maybe' ? holders : [];
    this.#holders.set(unique.key, new Set([...asBefore, ...holders.map((holder) => holder ?? id)]));
  }

  free({ id, given: { unique } }: ModelJob): void {
    const holders = unique && this.#holders.get(unique.key);
    if (holders === undefined) return;
    const others = [...holders].map((holder) => (holder === id ? undefined : holder));
    this.#holders.set(unique!.key, new Set(others));
  }
}
