import type { Clock, Interruptible } from '../clock/index.js';
import type { AbortReason, ChildKind } from '../events/index.js';
import type { Child, StopRequest } from './child.js';
import { Quiescence } from './quiescence.js';

/** What did not end in time. */
export interface Orphan {
  readonly kind: ChildKind;
  readonly name: string;
}

/** How a stop went. */
export interface StopReport {
  /** What still runs although it was told to end. Empty when all went well. */
  readonly orphans: readonly Orphan[];
  readonly durationMs: number;
}

interface StopOrder {
  readonly reason: AbortReason;
  readonly timeoutMs: number;
  readonly abortMarginMs: number;
  readonly clock: Clock;
  /** Ends the time before it is over: the app closes, and has less of it. */
  readonly cutShort: Interruptible;
  /** Of a stop that is part of a larger one. */
  readonly quiescence?: Quiescence | undefined;
  /** Told when a child breaks its promise never to fail. */
  report(what: string, error: unknown): void;
}

/**
 * Stops children within one time budget: those that take in work at once, those that are fed by them once these
 * have ended. At the deadline the rest is named, and on shutdown abandoned. Never rejects.
 */
export async function stopChildren(children: readonly Child[], order: StopOrder): Promise<StopReport> {
  const { clock, reason, timeoutMs, abortMarginMs, cutShort } = order;
  const begin = clock.monotonic();
  const deadline = begin + timeoutMs;
  // Not by `active`: who was started again meanwhile has ended all the same.
  const unended = new Set(children);

  const stopOne = async (child: Child, request: StopRequest): Promise<void> => {
    try {
      await child.stop(request);
      unended.delete(child);
    } catch (error) {
      order.report(`stopping ${child.kind} "${child.name}"`, error);
    }
  };
  const stopAll = async (drains: Child['drains'], feedersEnded: Promise<void>): Promise<void> => {
    const concerned = children.filter((child) => child.drains === drains);
    const abortAt = Math.max(begin, deadline - abortMarginMs);
    const quiescence = order.quiescence ?? new Quiescence(feedersEnded);
    const request: StopRequest = { reason, deadline, abortAt, feedersEnded, quiescence };
    await Promise.all(concerned.map((child) => stopOne(child, request)));
  };
  const feedersEnded = stopAll('first', Promise.resolve());
  const ended = Promise.all([feedersEnded, stopAll('last', feedersEnded)]);
  await endOrDeadline(ended, clock, timeoutMs, cutShort);

  const orphaned = [...unended];
  // One that was merely stopped by name may still take its time; it is stuck once its `abortGrace` is over.
  if (reason === 'shutdown') orphaned.forEach((child) => child.abandon());
  return Object.freeze({
    orphans: Object.freeze(orphaned.map(({ kind, name }) => Object.freeze({ kind, name }))),
    durationMs: clock.monotonic() - begin,
  });
}

function endOrDeadline(
  end: Promise<unknown>,
  clock: Clock,
  timeoutMs: number,
  cutShort: Interruptible,
): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      cancelTimer();
      off();
      resolve();
    };
    // Who has ended already is found to have, also where there is no time left.
    const cancelTimer = clock.setTimer(finish, cutShort.aborted ? 0 : timeoutMs);
    const off = cutShort.aborted ? () => {} : cutShort.onAbort(finish);
    void end.then(finish);
  });
}
