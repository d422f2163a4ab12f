import { AsyncResource } from 'node:async_hooks';
import { types } from 'node:util';
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { DiscardError } from '../../errors/index.js';
import { errorOfThread } from './thread-error.js';
import type { ResolvedThreadsOptions } from './threads-options.js';

/** Threads, and their timers, belong to no request: not to the one in which they happen to begin. */
const scope = new AsyncResource('nestjs-worker:threads');

/** What can be moved to a thread instead of being copied. */
export type ThreadTransfer = NonNullable<Parameters<MessagePort['postMessage']>[1]>[number];

/** One call of a function in a thread. */
export interface ThreadCall {
  readonly name: string;
  readonly path: string;
  readonly exported: string;
  readonly input: unknown;
  readonly transfer: readonly ThreadTransfer[];
  /** Whether the same call may be made again if this one fails. */
  readonly again: boolean;
}

/** A call that has its place, though it may still wait for its thread to begin. */
class PlacedCall {
  readonly #controller = new AbortController();
  /** Why it was cut off. */
  cutOff: { readonly reason: unknown; readonly threadEnded: Promise<unknown> } | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends its thread. */
  end(piscina: Piscina, reason: unknown): void {
    if (this.cutOff !== undefined) return;
    const before = piscina.threads;
    this.#controller.abort();
    const left = new Set(piscina.threads);
    // Of piscina's own it is said to have ended before it has.
    const ending = before.filter((thread) => !left.has(thread)).map((thread) => thread.terminate());
    this.cutOff = { reason, threadEnded: Promise.all(ending) };
  }
}

/**
 * A piscina that is given no more calls than it has threads for; the others wait here. What waits in a piscina itself
 * waits for ever when the threads that it waits for are ended.
 */
export class ThreadPool {
  readonly #options: ResolvedThreadsOptions;
  readonly #placed = new Set<PlacedCall>();
  /** Those that wait for a place, the first one first. */
  readonly #waiting = new Set<() => void>();
  #piscina: Piscina | undefined;
  #closed: DiscardError | undefined;

  constructor(options: ResolvedThreadsOptions) {
    this.#options = options;
  }

  /** Rejects with the signal's reason as soon as the thread has ended that it cuts off. */
  async run(call: ThreadCall, signal: AbortSignal): Promise<unknown> {
    const place = new PlacedCall();
    await this.#enter(place, signal);
    const piscina = (this.#piscina ??= scope.runInAsyncScope(() => this.#begin()));
    const onAbort = (): void => place.end(piscina, signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    // Since it was let in.
    if (signal.aborted) onAbort();
    else if (this.#closed !== undefined) place.end(piscina, this.#closed);
    try {
      const { input, path: filename, exported: name, transfer, again } = call;
      const transferList = transfer.filter((item) => !again || !types.isAnyArrayBuffer(item));
      return await scope.runInAsyncScope(() =>
        piscina.run(input, { filename, name, transferList, signal: place.signal }),
      );
    } catch (error) {
      const { cutOff } = place;
      // Where no thread could be made, piscina would have the call wait for one.
      if (cutOff === undefined) place.end(piscina, error);
      await cutOff?.threadEnded;
      throw cutOff?.reason ?? errorOfThread(call.name, call.path, call.exported, error);
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#leave(place);
    }
  }

  /** Ends all threads. Calls fail from now on. */
  async close(): Promise<void> {
    this.#closed ??= new DiscardError('These threads were closed: nothing runs in them any more.');
    const closed = this.#closed;
    const piscina = this.#piscina;
    if (piscina !== undefined) for (const place of this.#placed) place.end(piscina, closed);
    const ending = [...this.#placed].map((place) => place.cutOff?.threadEnded);
    for (const enter of this.#waiting) enter();
    await Promise.all([...ending, piscina?.destroy()]);
  }

  #begin(): Piscina {
    const { maxThreads, idleTimeoutMs: idleTimeout, resourceLimits } = this.#options;
    const piscina = new Piscina({
      minThreads: 0,
      maxThreads,
      idleTimeout,
      resourceLimits,
      stricterFIFO: true,
      recordTiming: false,
    });
    piscina.on('error', (error: unknown) => this.#threadFailed(piscina, error));
    return piscina;
  }

  /**
   * A thread failed that ran no call: most likely one that could not even begin. Whoever waits for it fails too. Where
   * nobody does there is nothing to mend: the next call has another thread.
   */
  #threadFailed(piscina: Piscina, error: unknown): void {
    const stranded = piscina.queueSize;
    // Threads go to those first that came first.
    for (const place of [...this.#placed].slice(this.#placed.size - stranded)) place.end(piscina, error);
  }

  /** Resolves once there is a place for it. */
  #enter(place: PlacedCall, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        this.#waiting.delete(enter);
        signal.removeEventListener('abort', enter);
        if (this.#closed !== undefined) return reject(this.#closed);
        if (signal.aborted) return reject(signal.reason as Error);
        this.#placed.add(place);
        resolve();
      };
      const mustWait = this.#placed.size >= this.#options.maxThreads && !signal.aborted;
      if (!mustWait || this.#closed !== undefined) return enter();
      this.#waiting.add(enter);
      signal.addEventListener('abort', enter, { once: true });
    });
  }

  #leave(place: PlacedCall): void {
    this.#placed.delete(place);
    const [next] = this.#waiting;
    next?.();
  }
}
