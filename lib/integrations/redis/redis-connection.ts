import type { EventEmitter } from 'node:events';
import type { Cluster, Redis } from 'ioredis';
import { formatDuration } from '../../clock/index.js';
import { makeClient, makeClientLike } from './redis-clients.js';
import type { RedisClient, ResolvedRedisOptions } from './redis-options.js';
import type { RedisScript } from './redis-script.js';

export type ScriptArguments = readonly (string | Buffer)[];

export interface RedisConnectionHost {
  /** It was lost, or is there again. */
  onConnection(error: Error | undefined): void;
}

/** A call that has not ended. */
interface Call {
  /** Goes on once there is a connection. */
  resume: (() => void) | undefined;
  isOver: boolean;
  fail(error: Error): void;
}

/** So long an end that was asked for may take; what is left then ends by itself. */
const longestEndMs = 300;

/**
 * The connection by which scripts are run. Each call ends in time, whatever becomes of the connection; one that does not
 * answer is given up, and made anew. Nothing is sent twice.
 */
export class RedisConnection {
  readonly client: RedisClient;
  readonly #timeoutMs: number;
  readonly #host: RedisConnectionHost;
  readonly #calls = new Set<Call>();
  #wasReady = false;
  #givenUp = false;
  #greeting: NodeJS.Timeout | undefined;
  #closed = false;
  #lastError: Error | undefined;

  constructor({ at, commandTimeoutMs }: ResolvedRedisOptions, host: RedisConnectionHost) {
    this.client =
      'address' in at
        ? makeClient(at.address, commandTimeoutMs)
        : makeClientLike(at.client, commandTimeoutMs);
    this.#timeoutMs = commandTimeoutMs;
    this.#host = host;
    const emitter = this.#emitter;
    emitter.on('connect', this.#onConnect).on('ready', this.#onReady).on('close', this.#onClose);
    emitter.on('error', this.#onError).on('node error', this.#onError);
  }

  /** Resolves once it is connected. Rejects where it cannot be, in time. */
  async open(): Promise<void> {
    if (this.#closed) throw closedError();
    // Why it cannot is told by an event.
    this.client.connect().catch(() => {});
    await this.#inTime(async (call) => {
      this.#emitter.once('close', () => call.fail(this.#unreachable()));
      await this.#whenReady(call);
    });
  }

  /**
   * Runs a script. Rejects after `commandTimeout`; what it answers after all, `onLate` is told. What is not sent by then
   * is not sent at all.
   */
  run(script: RedisScript, args: ScriptArguments, onLate?: (answer: unknown) => void): Promise<unknown> {
    return this.#inTime(async (call) => {
      if (this.client.status !== 'ready') await this.#whenReady(call);
      try {
        return await this.client.callBuffer('evalsha', [script.sha, '1', ...args]);
      } catch (error) {
        if (call.isOver || !isUnknownScript(error)) throw error;
        return this.client.callBuffer('eval', [script.lua, '1', ...args]);
      }
    }, onLate);
  }

  /** Asks each node that stores keys. */
  ask<Answer>(question: (node: Redis) => Promise<Answer>): Promise<Answer[]> {
    const nodes = this.client.isCluster ? (this.client as Cluster).nodes('master') : [this.client as Redis];
    return this.#inTime(() => Promise.all(nodes.map(question)));
  }

  /** Ends all calls, and the connection. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const call of this.#calls) call.fail(closedError());
    clearTimeout(this.#greeting);
    const emitter = this.#emitter;
    emitter.off('connect', this.#onConnect).off('ready', this.#onReady).off('close', this.#onClose);
    return endOf(this.client);
  }

  #inTime<Answer>(run: (call: Call) => Promise<Answer>, onLate?: (answer: Answer) => void): Promise<Answer> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const end = (finish: () => void): void => {
        if (call.isOver) return;
        call.isOver = true;
        clearTimeout(timer);
        this.#calls.delete(call);
        finish();
      };
      const call: Call = { resume: undefined, isOver: false, fail: (error) => end(() => reject(error)) };
      const timer = setTimeout(() => this.#giveUp(call), this.#timeoutMs);
      this.#calls.add(call);
      run(call).then(
        (answer) => {
          if (call.isOver) onLate?.(answer);
          else end(() => resolve(answer));
        },
        (error: unknown) => call.fail(this.#explained(error)),
      );
    });
  }

  /** It has not answered in time. */
  #giveUp(call: Call): void {
    if (this.client.status !== 'ready') return call.fail(this.#unreachable());
    call.fail(new Error(`Redis did not answer within ${formatDuration(this.#timeoutMs)}`));
    if (this.#givenUp) return;
    this.#givenUp = true;
    this.client.disconnect(true);
  }

  /** Never resolves for a call that has ended. */
  #whenReady(call: Call): Promise<void> {
    return new Promise((resolve) => {
      call.resume = resolve;
    });
  }

  /** Says in words for people what ioredis says of its own doings. */
  #explained(error: unknown): Error {
    const { name, message } = error as Error;
    const lost = name === 'MaxRetriesPerRequestError' || message === 'Connection is closed.';
    return lost
      ? new Error(`the connection to Redis was lost${this.#why}`, { cause: error })
      : (error as Error);
  }

  #unreachable(): Error {
    return new Error(`Redis cannot be reached${this.#why}`, { cause: this.#lastError });
  }

  get #why(): string {
    return this.#lastError === undefined ? '' : ` (${this.#lastError.message || this.#lastError.name})`;
  }

  get #emitter(): EventEmitter {
    return this.client;
  }

  /** There is somebody, who may say nothing. */
  readonly #onConnect = (): void => {
    if (this.client.isCluster) return;
    clearTimeout(this.#greeting);
    this.#greeting = setTimeout(() => this.client.disconnect(true), this.#timeoutMs);
  };

  readonly #onReady = (): void => {
    clearTimeout(this.#greeting);
    const isBack = this.#wasReady;
    this.#wasReady = true;
    this.#givenUp = false;
    this.#lastError = undefined;
    for (const call of this.#calls) call.resume?.();
    if (isBack) this.#host.onConnection(undefined);
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#greeting);
    if (this.#wasReady && !this.#closed) {
      this.#host.onConnection(new Error(`the connection to Redis was lost${this.#why}`));
    }
  };

  readonly #onError = (error: Error & { readonly lastNodeError?: Error }): void => {
    // A Cluster says that all nodes have failed; one of them says why.
    this.#lastError = error.lastNodeError ?? error;
  };
}

export const closedError = (): Error => new Error('the connection to Redis is closed');

const isUnknownScript = (error: unknown): boolean => (error as Error).message.startsWith('NOSCRIPT');

/** Ends a client, and waits until it has. One that was about to connect again says nothing when it ends. */
export async function endOf(client: RedisClient): Promise<void> {
  if (client.status === 'end') return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, longestEndMs);
    (client as EventEmitter).once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    client.disconnect();
  });
}
