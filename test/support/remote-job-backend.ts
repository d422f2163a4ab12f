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

let trips = 0;

/** To the store, or back from it. */
const trip = (): Promise<unknown> => delay((trips++ * 7) % 4);

const many = async <Item, Answer>(
  items: readonly Item[],
  ask: (item: Item) => Promise<readonly Answer[]>,
): Promise<readonly Answer[]> => {
  const answers = await Promise.all(items.map(async (item) => trip().then(() => ask(item))));
  return answers.flat();
};

/** As if the backend were over a network, and did most things one by one, as BullMQ does. */
export function remote(Backend: typeof MemoryJobBackend): typeof MemoryJobBackend {
  return class extends Backend {
    #closed = false;

    override async close() {
      this.#closed = true;
      await super.close();
    }

    override async enqueue(jobs: readonly NewJob[]) {
      await trip();
      const answers = await super.enqueue(jobs);
      await trip();
      return answers;
    }

    override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
      await trip();
      if (this.#closed) return [];
      const claimed = await super.claim(queue, options);
      await trip();
      return claimed;
    }

    override async extend(queue: string, extensions: readonly Extension[]) {
      return many(extensions, async (one) => super.extend(queue, [one]));
    }

    override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
      const answers = await many(settlements, async (one) => [await super.settle(queue, [one])]);
      const { claimed } = await super.settle(queue, [], then);
      await trip();
      return {
        accepted: answers.flatMap(({ accepted }) => accepted),
        claimed,
        pushedOut: answers.reduce((sum, { pushedOut }) => sum + pushedOut, 0),
      };
    }

    override async retry(queue: string, ids: readonly string[]) {
      return many(ids, async (id) => super.retry(queue, [id]));
    }
  };
}
