import { type Static, Type } from '@sinclair/typebox';
import type { RunningTask } from '../../tasks/index.js';
import { count, document, oneOf, seconds, secondsOf } from './parts.js';

/** An attempt at a task or job that is under way in this process. */
export const RunningDocument = document('Running', {
  id: Type.String({ description: 'Of the task or job' }),
  name: Type.String(),
  status: oneOf(['running', 'stuck'], 'stuck: told to end, and did not'),
  attempt: count('Number of the attempt'),
  running_seconds: seconds('How long the attempt has lasted'),
});
export type RunningDocument = Static<typeof RunningDocument>;

export function runningDocument({
  id,
  name,
  status,
  attempt,
  runningMs,
}: Omit<RunningTask, 'status'> & { readonly status: string }): RunningDocument {
  return {
    id,
    name,
    status: status === 'stuck' ? 'stuck' : 'running',
    attempt,
    running_seconds: secondsOf(runningMs),
  };
}
