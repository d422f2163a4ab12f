import type { MemoryJobBackend } from 'nestjs-worker';
import { expect, it } from 'vitest';
import { ArrivalJobBackend } from '../support/arrival-job-backend.js';
import { brokenArrivalBackends, brokenBackends } from '../support/broken-job-backends.js';
import { checkJobModel, type JobModelOptions } from '../support/job-backend-commands.js';
import { memorySubject } from '../support/memory-subject.js';

const hourMs = 3_600_000;

const onMemory = (Backend?: typeof MemoryJobBackend): JobModelOptions => ({
  make: () => memorySubject(Backend),
  times: {
    delays: [0, 0, 1, 5, 40, 1_000, 2 ** 31 + 7],
    leases: [1, 10, 50, 2_000],
    advances: [0, 1, 5, 10, 50, 500, 2_000, hourMs],
    ttls: [1, 20, 3_000],
    keeps: [0, 30, 5_000, Infinity],
  },
  priority: true,
  order: 'due',
  fencing: true,
  clock: 'backend',
  lostTurn: 'due',
  lapses: 'never',
  limits: { concurrency: true, perKey: true },
  settle: async () => {
    for (let turn = 0; turn < 3; turn++) await Promise.resolve();
  },
  patience: 3,
});

// More of them now and then: MODEL_RUNS=3000.
const numRuns = Number(process.env.MODEL_RUNS ?? 400);

it('does what the model does, whatever comes', { timeout: 600_000 }, async () => {
  await expect(checkJobModel(onMemory(), { numRuns, maxCommands: 60 })).resolves.toBeUndefined();
});

const known = new Set([
  'settles with any token',
  'never frees a unique key',
  'ignores limits',
  'rounds leases down to seconds',
  'lets a job run on that is cancelled',
  'holds the key of a job that is cancelled',
]);

it.each(brokenBackends.filter(([defect]) => known.has(defect)))(
  'differs from a backend that %s',
  { timeout: 60_000 },
  async (_, Backend) => {
    const checked = checkJobModel(onMemory(Backend), {
      numRuns: 100,
      maxCommands: 60,
      seed: 1,
      endOnFailure: true,
    });
    await expect(checked).rejects.toThrow(/Property failed/u);
  },
);

const inOrderOfArrival = (Backend: typeof MemoryJobBackend = ArrivalJobBackend): JobModelOptions => ({
  ...onMemory(Backend),
  order: 'arrival',
  fencing: false,
  lostTurn: 'first',
  // What waits for a place of its key has come before what is put back meanwhile.
  limits: { concurrency: true, perKey: false },
  // It looks before it claims.
  settle: () => new Promise((resolve) => setImmediate(resolve)),
});

it('does what the model does in order of arrival', { timeout: 600_000 }, async () => {
  await expect(checkJobModel(inOrderOfArrival(), { numRuns, maxCommands: 60 })).resolves.toBeUndefined();
});

it.each(brokenArrivalBackends)(
  'differs in order of arrival from a backend that %s',
  { timeout: 60_000 },
  async (_, Backend) => {
    const checked = checkJobModel(inOrderOfArrival(Backend), {
      numRuns: 100,
      maxCommands: 60,
      seed: 1,
      endOnFailure: true,
    });
    await expect(checked).rejects.toThrow(/Property failed/u);
  },
);
