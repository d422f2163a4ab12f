import { MemoryJobBackend } from 'nestjs-worker';
import { describeJobBackend } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { ArrivalJobBackend } from '../support/arrival-job-backend.js';
import { brokenArrivalBackends, brokenBackends } from '../support/broken-job-backends.js';
import { CollectingRunner } from '../support/collecting-runner.js';
import { memorySubject } from '../support/memory-subject.js';

const patienceMs = 60;

describe.each([
  ['of due times', MemoryJobBackend, brokenBackends],
  ['of arrival', ArrivalJobBackend, brokenArrivalBackends],
] as const)('with jobs in order %s', (_, Sound, broken) => {
  async function failuresOf(Backend: typeof MemoryJobBackend): Promise<string[]> {
    const runner = new CollectingRunner();
    describeJobBackend({
      runner,
      capabilities: new Sound().capabilities,
      make: () => memorySubject(Backend),
      timeTravels: true,
      patienceMs,
      many: 200,
    });
    expect(runner.tests.length).toBeGreaterThan(140);
    return runner.failures(5 * patienceMs);
  }

  it('finds nothing wrong with the sound one', async () => {
    expect(await failuresOf(Sound)).toEqual([]);
  });

  it.each(broken)('finds out a backend that %s', { timeout: 60_000 }, async (_defect, Backend, caughtBy) => {
    const failures = await failuresOf(Backend);
    expect(failures).toContainEqual(expect.stringMatching(caughtBy));
  });
});
