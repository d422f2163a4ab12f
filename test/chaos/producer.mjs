// The role of a process that enqueues, at a steady pace, until it is told to stop. What is not known to be stored is
// enqueued again with its id.
import { setTimeout as sleep } from 'node:timers/promises';
import { openApp } from './app.mjs';
import { uptime } from './ledger.mjs';
import { gone } from './names.mjs';

const between = ([from, to]) => from + Math.random() * (to - from);
const roundMs = 50;

/** What a job may be, how often, and how it is enqueued. */
export const kinds = {
  plain: { weight: 60, payload: () => ({ ms: between([2, 30]) }) },
  gone: { weight: 12, payload: () => ({ ms: between([2, 30]) }), options: () => ({ name: gone }) },
  failing: { weight: 8, payload: () => ({ ms: 5, throws: 1 + Math.floor(Math.random() * 2) }) },
  hopeless: { weight: 2, payload: () => ({ ms: 5, throws: 99 }) },
  discarded: { weight: 3, payload: () => ({ ms: 5, discard: true }) },
  cancelled: { weight: 2, payload: () => ({ ms: 5, cancel: true }) },
  snoozing: { weight: 4, payload: () => ({ ms: 5, snooze: true }) },
  later: {
    weight: 5,
    payload: () => ({ ms: 5 }),
    options: () => ({ delay: Math.round(between([200, 1_500])) }),
  },
  dated: {
    weight: 2,
    payload: () => ({ ms: 5 }),
    options: ({ now }) => ({ notBefore: new Date(now() + 700) }),
  },
  unique: {
    weight: 5,
    payload: () => ({ ms: between([5, 60]) }),
    options: ({ number }) => ({ unique: { key: `key-${number % 7}` } }),
  },
  long: { weight: 2, payload: () => ({ ms: 3_000 }) },
  deaf: { weight: 0.3, payload: () => ({ ms: 4_000, deaf: true }) },
};

/** `weights`: over those above; 0: none of that kind. */
function drawingOf(weights) {
  const wanted = Object.entries(kinds).map(([kind, made]) => Object.assign({ kind }, made));
  for (const made of wanted) made.weight = weights[made.kind] ?? made.weight;
  const total = wanted.reduce((sum, { weight }) => sum + weight, 0);
  return () => {
    let left = Math.random() * total;
    return wanted.find(({ weight }) => (left -= weight) < 0) ?? wanted[0];
  };
}

export async function produce(order, { ledger, say, onTold }) {
  const { rate, weights = {}, who } = order;
  const draw = drawingOf(weights);
  const { app, queue } = await openApp(order, ledger);
  const end = new AbortController();

  /** Goes on until it is known to be stored. */
  const store = async (id, payload, options) => {
    const { delay = 0, notBefore, unique, name } = options;
    const sent = { id, payload, name, delay, notBefore: notBefore?.getTime(), key: unique?.key };
    ledger.write('sent', sent);
    for (let tries = 1; ; tries++) {
      const from = uptime();
      try {
        const answer = await queue.enqueue(payload, { id, ...options });
        return ledger.write('accepted', { id, tries, status: answer.status, by: answer.id });
      } catch (error) {
        const { code, message, ids } = error;
        ledger.write('refused', { id, code, message, ids, ms: uptime() - from });
        await sleep(100);
      }
    }
  };

  let number = 0;
  const underWay = new Set();
  const enqueue = (payload, options) => {
    const stored = store(`${who}-${++number}`, payload, options).finally(() => underWay.delete(stored));
    underWay.add(stored);
  };
  const enqueueThese = (jobs = []) => {
    for (const { payload, options = {} } of jobs) enqueue(payload, options);
  };
  onTold(({ stop, jobs }) => {
    if (stop) end.abort();
    enqueueThese(jobs);
  });
  enqueueThese(order.first);
  await Promise.all(underWay);
  say('ready');
  if (rate === 0) end.abort();
  let due = 0;
  while (!end.signal.aborted) {
    // With a backend that hangs it does not pile up what waits.
    if (underWay.size < 500) {
      for (due += (rate * roundMs) / 1_000; due >= 1; due--) {
        const { kind, payload, options } = draw();
        enqueue({ kind, ...payload() }, options?.({ number, now: Date.now }) ?? {});
      }
    }
    await sleep(roundMs);
  }
  await Promise.all(underWay);
  say('done', number);
  // Nothing keeps it alive after this.
  await app.close();
}
