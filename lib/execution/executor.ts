import { formatDuration } from '../clock/index.js';
import type { AttemptContext, WorkContext } from './attempt-context.js';
import { contextStorage } from './current-context.js';
import { type Outcome, outcomeOfError, outcomeOfValue } from './outcome.js';

/** What an attempt runs: the work itself with its middlewares around it. */
export type Handler = (context: WorkContext) => unknown;

/**
 * Runs one attempt: in its own context, under its timeout, and to its very end. An attempt that outlives its
 * timeout is told to end and waited for, never left behind. Never rejects.
 */
export async function execute(
  handler: Handler,
  context: AttemptContext,
  timeoutMs?: number,
): Promise<Outcome> {
  if (timeoutMs !== undefined) {
    const cancel = context.clock.setTimer(
      () => context.abort('timeout', `timeout: ${formatDuration(timeoutMs)}`),
      timeoutMs,
    );
    // Also when it is aborted for something else: an attempt that never ends must not hold the process by its timer.
    context.onOver(cancel);
  }
  let outcome: Outcome;
  try {
    const value: unknown = await contextStorage.run(context, handler, context);
    // A middleware may have returned before the work that it is around.
    if (context.work !== undefined) await context.work;
    outcome = outcomeOfValue(value, context.abortedFor);
  } catch (error) {
    if (context.work !== undefined) await giveUp(context, context.work);
    outcome = outcomeOfError(error, context.abortedFor);
  }
  context.end(outcome.kind === 'failed' || outcome.kind === 'timed-out' ? 'error' : 'success');
  return outcome;
}

/** A middleware threw while the work went on, as one does that has a time limit: then it is over for the work too. */
async function giveUp(context: AttemptContext, work: Promise<unknown>): Promise<void> {
  context.abort('timeout', 'a middleware gave up on it');
  await work.catch(() => {});
}
