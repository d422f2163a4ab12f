import { setTimeout as delay } from 'node:timers/promises';
import type { MemoryJobBackend } from 'nestjs-worker';
import { expect, it } from 'vitest';
import { ArrivalJobBackend } from '../support/arrival-job-backend.js';
import { brokenArrivalBackends } from '../support/broken-job-backends.js';
import { checkJobModel, type JobModelOptions } from '../support/job-backend-commands.js';
import { remote } from '../support/remote-job-backend.js';

/** In real time, of which nobody knows when during a call something is done, as with a store that goes by the caller's clock. */
const overNetwork = (Backend: typeof MemoryJobBackend = ArrivalJobBackend): JobModelOptions => ({
  make: () => ({
    backend: new (remote(Backend))(),
    now: () => Date.now(),
    advance: (ms: number) => delay(ms),
  }),
  times: {
    delays: [0, 0, 20, 60, 2 ** 31 + 7],
    leases: [30, 100, 400],
    advances: [1, 10, 40, 120],
    ttls: [30, 3_000],
    keeps: [0, 50, 5_000],
  },
  priority: true,
  order: 'arrival',
  fencing: false,
  clock: 'client',
  lostTurn: 'first',
  lapses: 'never',
  limits: { concurrency: false, perKey: false },
  settle: () => delay(5),
  patience: 400,
});

// Its waits are real ones. More of them now and then: MODEL_RUNS=300.
const numRuns = Number(process.env['MODEL_RUNS'] ?? 10);

it('does what the model does, over a network', { timeout: 60_000 + 6_000 * numRuns }, async () => {
  await checkJobModel(overNetwork(), { numRuns, maxCommands: 40, endOnFailure: true });
});

const soonFound = new Set([
  'hands out what is due for longest',
  'puts what is released behind all others',
  'puts what has failed where it was',
]);

it.each(brokenArrivalBackends.filter(([defect]) => soonFound.has(defect)))(
  'differs over a network from a backend that %s',
  { timeout: 120_000 },
  async (_, Backend) => {
    const checked = checkJobModel(overNetwork(Backend), {
      numRuns: 50,
      maxCommands: 60,
      seed: 1,
      endOnFailure: true,
    });
    await expect(checked).rejects.toThrow(/Property failed/u);
  },
);
