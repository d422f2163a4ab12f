import { MemoryJobBackend } from 'nestjs-worker';
import { describeJobBackend } from 'nestjs-worker/testing';
import { expect, it } from 'vitest';
import { brokenBackends } from '../support/broken-job-backends.js';
import { CollectingRunner } from '../support/collecting-runner.js';
import { memorySubject } from '../support/memory-subject.js';

const patienceMs = 60;

async function failuresOf(Backend: typeof MemoryJobBackend): Promise<string[]> {
  const runner = new CollectingRunner();
  describeJobBackend({
    runner,
    capabilities: new MemoryJobBackend().capabilities,
    make: () => memorySubject(Backend),
    timeTravels: true,
    patienceMs,
    many: 200,
  });
  expect(runner.tests.length).toBeGreaterThan(140);
  return runner.failures(5 * patienceMs);
}

it('finds nothing wrong with the sound one', async () => {
  expect(await failuresOf(MemoryJobBackend)).toEqual([]);
});

it.each(brokenBackends)('finds out a backend that %s', { timeout: 60_000 }, async (_, Backend, caughtBy) => {
  const failures = await failuresOf(Backend);
  expect(failures).toContainEqual(expect.stringMatching(caughtBy));
});
