import { setTimeout as delay } from 'node:timers/promises';
import {
  type BlockingClaimOptions,
  type ClaimedJob,
  type ClaimOptions,
  type Extension,
  MemoryJobBackend,
  type NewJob,
  type Settlement,
} from 'nestjs-worker';
import { expect, it } from 'vitest';
import { ArrivalJobBackend } from '../support/arrival-job-backend.js';
import { brokenArrivalBackends } from '../support/broken-job-backends.js';
import { checkJobModel, type JobModelOptions } from '../support/job-backend-commands.js';

// Real time, as with a store that goes by the clock of whoever calls.

const away = (): Promise<unknown> => delay(Math.random() * 2);

/** As over a network, and bit by bit. */
function remote(Backend: typeof MemoryJobBackend): MemoryJobBackend {
  class Remote extends Backend {
    #closed = false;

    override async close() {
      this.#closed = true;
      await super.close();
    }

    override async enqueue(jobs: readonly NewJob[]) {
      await away();
      const answers = await super.enqueue(jobs);
      await away();
      return answers;
    }

    override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
      await away();
      if (this.#closed) return [];
      const claimed = await super.claim(queue, options);
      await away();
      return claimed;
    }

    override async extend(queue: string, extensions: readonly Extension[]) {
      await away();
      const answers = await Promise.all(
        extensions.map(async (one) => {
          await away();
          return super.extend(queue, [one]);
        }),
      );
      return answers.flat();
    }

    override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
      const answers = await Promise.all(
        settlements.map(async (settlement) => {
          await away();
          return super.settle(queue, [settlement]);
        }),
      );
      const { claimed } = await super.settle(queue, [], then);
      await away();
      return {
        accepted: answers.flatMap(({ accepted }) => accepted),
        claimed,
        pushedOut: answers.reduce((sum, { pushedOut }) => sum + pushedOut, 0),
      };
    }

    override async retry(queue: string, ids: readonly string[]) {
      const answers = await Promise.all(
        ids.map(async (id) => {
          await away();
          return super.retry(queue, [id]);
        }),
      );
      return answers.flat();
    }
  }
  return new Remote();
}

const inRealTime = (Backend: typeof MemoryJobBackend = ArrivalJobBackend): JobModelOptions => ({
  make: () => ({ backend: remote(Backend), now: () => Date.now(), advance: (ms: number) => delay(ms) }),
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
  slackMs: 2,
  lostTurn: 'first',
  lapses: 'never',
  limits: { concurrency: false, perKey: false },
  settle: () => delay(5),
  patience: 400,
});

const numRuns = Number(process.env['MODEL_RUNS'] ?? 10);

it('does what the model does, in order of arrival', { timeout: 60_000 + 6_000 * numRuns }, async () => {
  await checkJobModel(inRealTime(), { numRuns, maxCommands: 40, endOnFailure: true });
});

it.each(brokenArrivalBackends)('differs from a backend that %s', { timeout: 120_000 }, async (_, Backend) => {
  const checked = checkJobModel(inRealTime(Backend), {
    numRuns: 20,
    maxCommands: 60,
    seed: 1,
    endOnFailure: true,
  });
  await expect(checked).rejects.toThrow(/Property failed/u);
});
