// The role of a process that runs jobs. What a job does is said by its payload.
import { setTimeout as sleep } from 'node:timers/promises';
import { CancelJob, DiscardJob, JobHandler, SnoozeJob } from 'nestjs-worker';
import { openApp } from './app.mjs';
import { backoffMs, gone, maxAttempts, queueName, snoozeMs } from './names.mjs';

const tries = {
  maxAttempts,
  backoff: { initial: backoffMs, factor: 1, max: backoffMs, jitter: 0 },
  maxDead: 1_000_000,
};
const kept = { keepCompleted: '1h', keepCancelled: '1h' };

/** Keeps the event loop from everybody. */
function block(ms) {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

async function perform({ payload, attempt }, signal, blocks) {
  const { ms = 0, deaf, blockMs, throws, discard, cancel, snooze, poison } = payload;
  if (poison) process.kill(process.pid, 'SIGKILL');
  if (blockMs !== undefined && blocks) block(blockMs);
  await sleep(ms, undefined, deaf ? {} : { signal });
  if (snooze && Math.random() < 0.5) throw new SnoozeJob(snoozeMs);
  if (discard) throw new DiscardJob('Told to discard');
  if (cancel) throw new CancelJob();
  if (attempt <= (throws ?? 0)) throw new Error(`Told to fail ${throws} times`);
}

function endOf(error, signal) {
  if (error === undefined) return 'returned';
  for (const [type, end] of [
    [SnoozeJob, 'snoozed'],
    [DiscardJob, 'discarded'],
    [CancelJob, 'cancelled'],
  ]) {
    if (error instanceof type) return end;
  }
  return signal.aborted && error.name === 'AbortError' ? 'aborted' : 'threw';
}

/** Runs a job, and writes down what it and its signal do. */
async function run(job, { token, signal }, { ledger, blocks, onBegin }) {
  const which = { id: job.id, token };
  const dueAt = job.dueAt.getTime();
  ledger.write('begin', { ...which, attempt: job.attempt, dueAt, poison: job.payload.poison });
  onBegin();
  const tellAbort = () => ledger.write('abort', { ...which, reason: signal.reason?.reason });
  if (signal.aborted) tellAbort();
  else signal.addEventListener('abort', tellAbort, { once: true });
  let failure;
  try {
    await perform(job, signal, blocks);
    return { token };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    ledger.write('end', { ...which, how: endOf(failure, signal) });
    signal.removeEventListener('abort', tellAbort);
  }
}

export async function consume(order, { ledger, say }) {
  let runs = 0;
  const onBegin = () => {
    if (++runs === 1) say('working');
  };
  class Handler {
    handle(job, ctx) {
      return run(job, ctx, { ledger, blocks: order.blocks !== false, onBegin });
    }
  }
  JobHandler(queueName, { concurrency: order.concurrency, ...tries, ...kept })(Handler);
  class GoneHandler extends Handler {}
  JobHandler(queueName, { name: gone, ...tries })(GoneHandler);
  await openApp(order, ledger, [Handler, GoneHandler]);
  say('ready');
}
