import type * as Ioredis from 'ioredis';
import type * as WorkerThreads from 'node:worker_threads';
import type { RedisAddress } from './redis-options.js';
import type { RedisScript } from './redis-script.js';

/** What the thread is given when it begins. */
export interface LeaseThreadData {
  readonly address: RedisAddress;
  readonly namespace: string;
  readonly commandTimeoutMs: number;
  readonly extend: RedisScript;
  /** When the main loop last showed a sign of life, by the machine's monotonic clock, in ns. */
  readonly life: SharedArrayBuffer;
  readonly slotBytes: number;
  readonly textAt: number;
  readonly freshPart: number;
}

/** The thread is told of what comes with more than this part of its lease gone; all else it finds by itself in time. */
export const freshPart = 1 / 6;

/** What the thread is told. A keeper is one queue's; its leases are in pages of shared memory (see `HeldLeases`). */
export type ToLeaseThread =
  | {
      readonly kind: 'add';
      readonly keeper: number;
      readonly queue: string;
      readonly leaseMs: number;
      readonly blockedLimitMs: number;
    }
  | { readonly kind: 'page'; readonly keeper: number; readonly page: SharedArrayBuffer }
  /** Renew now. */
  | { readonly kind: 'hurry'; readonly keeper: number }
  | { readonly kind: 'remove'; readonly keeper: number };

/** Leases that are lost: where in the pages they were, and which version of the slot it was. */
export interface FromLeaseThread {
  readonly keeper: number;
  readonly lost: readonly { readonly slot: number; readonly version: number }[];
}

/**
 * The program of the thread that renews leases. Its text alone is what runs there, so that it needs no file of its own
 * (ESM, CommonJS, bundles): it may use what it is given and what is global, and nothing else of this file.
 */
export function leaseThread(ioredis: typeof Ioredis, threads: typeof WorkerThreads): void {
  interface Held {
    readonly slot: number;
    readonly version: number;
    readonly heldAt: number;
    readonly token: string;
    readonly id: string;
  }
  interface Keeper {
    readonly queue: string;
    readonly leaseMs: number;
    readonly blockedLimitMs: number;
    readonly pages: SharedArrayBuffer[];
    /** When a slot's lease was last renewed, by slot and version; Infinity: it was said to be lost. */
    renewedAt: Map<string, number>;
    /** `undefined` while a call is under way. */
    timer: NodeJS.Timeout | undefined;
    checkTimer: NodeJS.Timeout | undefined;
    /** What came during a call cannot wait for the next turn. */
    isHurried: boolean;
  }

  const data = threads.workerData as LeaseThreadData;
  const port = threads.parentPort!;
  const { address, namespace, commandTimeoutMs, extend, slotBytes, textAt, freshPart: fresh } = data;
  const life = new BigInt64Array(data.life);
  const keepers = new Map<number, Keeper>();
  const largestBatch = 500;

  const longestDelayMs = 2_000;
  const clock = process.hrtime;

  const now = (): number => Number(clock.bigint()) / 1e6;
  const reconnectDelay = (times: number): number => Math.min(50 * 2 ** Math.min(times, 10), longestDelayMs);
  const options = {
    retryStrategy: reconnectDelay,
    ...address.options,
    commandTimeout: commandTimeoutMs,
    replyMapping: 'legacy' as const,
  };

  function connect(): Ioredis.Redis | Ioredis.Cluster {
    if (address.nodes !== undefined) {
      const { retryStrategy: _, ...redisOptions } = options;
      return new ioredis.Cluster([...address.nodes], { clusterRetryStrategy: reconnectDelay, redisOptions });
    }
    return address.url === undefined ? new ioredis.Redis(options) : new ioredis.Redis(address.url, options);
  }

  const client = connect();
  // Why it cannot connect, the main loop says of its own connection.
  client.on('error', () => {});

  async function run(args: readonly string[]): Promise<string> {
    try {
      const [, answers] = (await client.call('evalsha', [extend.sha, '1', ...args])) as [number, string];
      return answers;
    } catch (error) {
      const { message } = error as Error;
      if (message.startsWith('NOSCRIPT')) {
        const [, answers] = (await client.call('eval', [extend.lua, '1', ...args])) as [number, string];
        return answers;
      }
      // Most likely it is dead, and does not know it.
      if (message === 'Command timed out' && client.status === 'ready') client.disconnect(true);
      throw error;
    }
  }

  function read(keeper: Keeper): Held[] {
    const held: Held[] = [];
    keeper.pages.forEach((page, pageIndex) => {
      const slots = page.byteLength / slotBytes;
      const words = new Int32Array(page);
      const numbers = new Float64Array(page);
      const bytes = Buffer.from(page);
      for (let index = 0; index < slots; index++) {
        const start = index * slotBytes;
        const version = Atomics.load(words, start / 4);
        if (version === 0) continue;
        const heldAt = numbers[start / 8 + 1]!;
        const text = bytes.toString('utf8', start + textAt, start + textAt + words[start / 4 + 1]!);
        // Whoever writes to a slot changes its version first.
        if (Atomics.load(words, start / 4) !== version) continue;
        const space = text.indexOf(' ');
        const slot = pageIndex * slots + index;
        held.push({ slot, version, heldAt, token: text.slice(0, space), id: text.slice(space + 1) });
      }
    });
    return held;
  }

  const nameOf = ({ slot, version }: Held): string => `${slot}:${version}`;

  function heldNow(keeper: Keeper): Held[] {
    const held = read(keeper);
    const before = keeper.renewedAt;
    keeper.renewedAt = new Map(held.map((one) => [nameOf(one), before.get(nameOf(one)) ?? one.heldAt]));
    return held.filter((one) => keeper.renewedAt.get(nameOf(one)) !== Infinity);
  }

  function lose(id: number, keeper: Keeper, lost: readonly Held[]): void {
    if (lost.length === 0) return;
    for (const one of lost) keeper.renewedAt.set(nameOf(one), Infinity);
    const message: FromLeaseThread = {
      keeper: id,
      lost: lost.map(({ slot, version }) => ({ slot, version })),
    };
    port.postMessage(message);
  }

  /** With no word from Redis, somebody else may soon hold them: whatever calls are under way, it is said in time. */
  function checkLater(id: number, keeper: Keeper, delayMs: number): void {
    clearTimeout(keeper.checkTimer);
    keeper.checkTimer = setTimeout(() => {
      const goodForMs = (keeper.leaseMs * 5) / 6;
      const held = heldNow(keeper);
      const lastMoment = now() - goodForMs;
      const renewedAt = (one: Held): number => keeper.renewedAt.get(nameOf(one))!;
      lose(
        id,
        keeper,
        held.filter((one) => renewedAt(one) <= lastMoment),
      );
      // What is held from now on is as fresh, or we are told of it.
      const first = held.reduce(
        (least, one) => Math.min(least, renewedAt(one)),
        now() - keeper.leaseMs * fresh,
      );
      const nextIn = Math.max(1, Math.ceil(first + goodForMs - now()));
      checkLater(id, keeper, nextIn);
    }, delayMs);
  }

  /** Answers whether all went well. */
  async function renew(keeper: Keeper, lost: Held[]): Promise<boolean> {
    const { queue, leaseMs, blockedLimitMs } = keeper;
    let isWell = true;
    const isAlive = now() - Number(Atomics.load(life, 0)) / 1e6 <= blockedLimitMs;
    const toRenew = isAlive ? heldNow(keeper) : [];
    for (let at = 0; at < toRenew.length; at += largestBatch) {
      const batch = toRenew.slice(at, at + largestBatch);
      const sentAt = now();
      try {
        const answers = await run([
          `${namespace}:queue:${queue}`,
          namespace,
          queue,
          String(batch.length),
          ...batch.map(({ id }) => id),
          ...batch.map(({ token }) => token),
          ...batch.flatMap(() => [String(leaseMs), '0']),
        ]);
        batch.forEach((one, index) => {
          const renewedAt = keeper.renewedAt.get(nameOf(one));
          // Let go meanwhile, or said to be lost.
          if (renewedAt === undefined || renewedAt === Infinity) return;
          if (answers[index] === '1') keeper.renewedAt.set(nameOf(one), sentAt);
          else lost.push(one);
        });
      } catch {
        isWell = false;
      }
    }
    return isWell;
  }

  function renewLater(id: number, keeper: Keeper, delayMs: number): void {
    clearTimeout(keeper.timer);
    keeper.timer = setTimeout(() => {
      keeper.timer = undefined;
      keeper.isHurried = false;
      const lost: Held[] = [];
      void renew(keeper, lost).then((isWell) => {
        if (keepers.get(id) !== keeper) return;
        lose(id, keeper, lost);
        const nextIn = isWell ? keeper.leaseMs / 3 : Math.min(1_000, keeper.leaseMs / 12);
        renewLater(id, keeper, keeper.isHurried ? 0 : nextIn);
      });
    }, delayMs);
  }

  port.on('message', (message: ToLeaseThread) => {
    const known = keepers.get(message.keeper);
    switch (message.kind) {
      case 'add': {
        const { queue, leaseMs, blockedLimitMs } = message;
        const keeper: Keeper = {
          queue,
          leaseMs,
          blockedLimitMs,
          pages: [],
          renewedAt: new Map(),
          timer: undefined,
          checkTimer: undefined,
          isHurried: false,
        };
        keepers.set(message.keeper, keeper);
        // To begin has taken its time, and there may be jobs by now.
        checkLater(message.keeper, keeper, 0);
        renewLater(message.keeper, keeper, 0);
        break;
      }
      case 'hurry':
        if (known === undefined) break;
        known.isHurried = true;
        checkLater(message.keeper, known, 0);
        if (known.timer !== undefined) renewLater(message.keeper, known, 0);
        break;
      case 'page':
        known?.pages.push(message.page);
        break;
      case 'remove':
        clearTimeout(known?.timer);
        clearTimeout(known?.checkTimer);
        keepers.delete(message.keeper);
    }
  });
}
