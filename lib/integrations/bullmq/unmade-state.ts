import type { JobRecord, OwnState } from './job-record.js';

type Told = Pick<JobRecord, 'at' | 'claims' | 'deaths' | 'state'>;

/**
 * What is written of a job, by whoever holds it, before BullMQ is told where the job goes. Should its holder end in between,
 * or lose the job, then nothing became of it: what it was before holds on.
 */
export function yetToBeMade(state: OwnState, before: OwnState, claim: number): OwnState {
  const { attempts: _, ...rest } = before;
  return { ...state, claim, before: rest };
}

/** What is stored of a job, without what was written of it and never came to be. */
export function withoutUnmade<Record extends Told>(record: Record): Record {
  const { at, claims, deaths, state } = record;
  if (state?.before === undefined) return record;
  const isHeld = at === 'active' && claims === state.claim;
  // A claim that has died was not settled.
  const isUnmade = isHeld || deaths.some(({ claim }) => claim === state.claim);
  if (!isUnmade) return record;
  return { ...record, state: { ...state.before, attempts: state.attempts.slice(0, -1) } };
}
