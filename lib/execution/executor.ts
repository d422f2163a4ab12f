import type { AsyncResource } from 'node:async_hooks';
import { formatDuration } from '../clock/index.js';
import type { AttemptContext, WorkContext } from './attempt-context.js';
import { contextStorage } from './current-context.js';
import { type Outcome, outcomeOfError, outcomeOfValue } from './outcome.js';

/** What an attempt runs: the work itself with its middlewares around it. */
export type Handler = (context: WorkContext) => unknown;

/**
 * Runs one attempt: in its own context, under its timeout, and to its very end. An attempt that outlives its
 * timeout is told to end and waited for, never left behind. Calls `onEnd` once, in a turn to come, whatever happens.
 *
 * `scope`: the async context that the handler runs in, where that is another one than the caller's.
 *
 * It steps from one callback to the next instead of awaiting: each promise costs.
 */
export function execute<Context extends AttemptContext>(
  handler: Handler,
  context: Context,
  timeoutMs: number | undefined,
  onEnd: OnEnd<Context>,
  scope?: AsyncResource,
): void {
  if (timeoutMs !== undefined) {
    const cancel = context.clock.setTimer(
      () => context.abort('timeout', `timeout: ${formatDuration(timeoutMs)}`),
      timeoutMs,
    );
    // Also when it is aborted for something else: an attempt that never ends must not hold the process by its timer.
    context.onOver(cancel);
  }
  const onValue = (value: unknown): void => returned(value, context, onEnd);
  const onError = (error: unknown): void => threw(error, context, onEnd);
  try {
    const result: unknown =
      scope === undefined
        ? runInContext(context, handler)
        : scope.runInAsyncScope(runInContext, undefined, context, handler);
    void promiseOf(result).then(onValue, onError);
  } catch (error) {
    void Promise.reject(error).catch(onError);
  }
}

/** A promise that keeps its word, whatever `value` is: one that has a `then` of its own is asked once, and later. */
function promiseOf(value: unknown): Promise<unknown> {
  return value instanceof Promise && value.then === Promise.prototype.then
    ? value
    : new Promise((resolve) => resolve(value));
}

function runInContext(context: AttemptContext, handler: Handler): unknown {
  return contextStorage.run(context, handler, context);
}

type OnEnd<Context> = (outcome: Outcome, context: Context) => void;

function returned<Context extends AttemptContext>(
  value: unknown,
  context: Context,
  onEnd: OnEnd<Context>,
): void {
  const { work } = context;
  if (work === undefined) return finish(outcomeOfValue(value, context.abortedFor), context, onEnd);
  // A middleware may have returned before the work that it is around.
  void work.then(
    () => finish(outcomeOfValue(value, context.abortedFor), context, onEnd),
    (error: unknown) => failed(error, context, onEnd),
  );
}

function threw<Context extends AttemptContext>(
  thrown: unknown,
  context: Context,
  onEnd: OnEnd<Context>,
): void {
  if (context.work === undefined) return failed(thrown, context, onEnd);
  // A middleware threw while the work went on, as one does that has a time limit: then it is over for the work too.
  const gaveUp = (): void => failed(thrown, context, onEnd);
  const { work } = context;
  context.abort('timeout', 'a middleware gave up on it');
  void work.then(gaveUp, gaveUp);
}

function failed<Context extends AttemptContext>(
  error: unknown,
  context: Context,
  onEnd: OnEnd<Context>,
): void {
  finish(outcomeOfError(error, context.abortedFor), context, onEnd);
}

function finish<Context extends AttemptContext>(
  outcome: Outcome,
  context: Context,
  onEnd: OnEnd<Context>,
): void {
  context.end(outcome.kind === 'failed' || outcome.kind === 'timed-out' ? 'error' : 'success');
  onEnd(outcome, context);
}
