import type { JSX } from 'preact';
import type { LevelsDocument } from '../documents.js';
import { countText } from '../format.js';
import { hrefOf, type JobState, jobStates } from '../routes.js';

interface StateLinksProps {
  readonly queue: string;
  readonly levels: LevelsDocument | null;
  /** The one that is shown. */
  readonly current?: JobState;
}

/** The states of the jobs of a queue, each with how many there are, and a link to them. */
export function StateLinks({ queue, levels, current }: StateLinksProps): JSX.Element {
  return (
    <nav class="state-links" aria-label="Jobs by state">
      {jobStates.map((state) => {
        const count = state === 'completed' || state === 'cancelled' ? undefined : (levels?.[state] ?? null);
        return (
          <a
            key={state}
            href={hrefOf({ page: 'queue-jobs', queue, state })}
            class={state === 'dead' && typeof count === 'number' && count > 0 ? 'tone-bad' : ''}
            aria-current={state === current ? 'page' : false}
          >
            <span>{state}</span>
            <strong>{count === undefined ? 'browse' : countText(count)}</strong>
          </a>
        );
      })}
    </nav>
  );
}
