import { formatDuration } from '../clock/index.js';
import { isWorkError, JobBackendError, type WorkError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import { inTime, type Pool } from '../pool/index.js';
import { delayAfter, type ExponentialBackoff } from '../supervision/index.js';
import type { JobBackend, JobBackendCapabilities } from './job-backend.js';

const reopening: ExponentialBackoff = { initialMs: 100, factor: 2, maxMs: 10_000, jitter: 0.5 };

/** A backend that could not be used for so long is down: what went wrong is more than a moment of it. */
const downAfterMs = 10_000;

/** One that has not been answered. */
interface Call {
  /** For the backend to be opened. */
  isWaiting: boolean;
  begin(): void;
  /** Without an error: it is closed. */
  giveUp(error?: Error): void;
}

/** A backend that has not opened after so long is closed and opened anew. */
const openLimitMs = 30_000;
/** A backend that has not closed after so long is left to itself. */
const closeLimitMs = 3_000;

type OnRevoked = (ids: readonly string[]) => void;

/**
 * The one way to the backend: opens it, again and again where it must, gives each call a time limit, and knows whether
 * it can be reached. What fails is told to the caller; nothing is tried twice here.
 */
export class JobConnection {
  readonly #revoked = new Map<string, Set<OnRevoked>>();
  readonly #calls = new Set<Call>();
  #isOpening = false;
  #opening: Promise<void> | undefined;
  /** Why it will never be open. */
  #refusal: Error | undefined;
  #isOpen = false;
  #closed = false;
  #stopWaiting: () => void = () => {};
  /** Why it cannot be used just now, and since when. */
  #error: Error | undefined;
  #errorSince = 0;

  constructor(
    readonly pool: Pool,
    readonly backend: JobBackend,
  ) {}

  get capabilities(): JobBackendCapabilities {
    return this.backend.capabilities;
  }

  /** Why the backend cannot be used just now; `undefined` where it can, or where nobody has tried. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** How it stands, as far as the last calls tell. */
  get status(): 'up' | 'degraded' | 'down' {
    if (this.#error === undefined) return 'up';
    return this.unreachableMs >= downAfterMs ? 'down' : 'degraded';
  }

  /** For how long it could not be used; 0 where it can. */
  get unreachableMs(): number {
    return this.#error === undefined ? 0 : this.pool.clock.monotonic() - this.#errorSince;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Begins to open it. Tries until it succeeds or is closed. */
  open(): void {
    if (this.#isOpening || this.#isOpen || this.#closed) return;
    this.#isOpening = true;
    this.#opening = this.pool.inScope(() => this.#openAtLast());
  }

  /**
   * Calls the backend, once it is open. Rejects with `JobBackendError` where that fails, or has not answered after
   * `timeoutMs`. `what` is the rest of the sentence "did not answer …". `quiet`: it says nothing of how well the backend is.
   */
  call<Result>(
    what: string,
    timeoutMs: number,
    run: (backend: JobBackend) => Promise<Result>,
    { quiet = false } = {},
  ): Promise<Result> {
    if (this.#closed) return Promise.reject(this.#failure(closedTo(what)));
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal);
    this.open();
    return new Promise<Result>((resolve, reject) => {
      const end = (error: Error | undefined, tells: boolean): void => {
        cancelTimer();
        this.#calls.delete(call);
        if (tells && !quiet) this.#note(error);
        if (error !== undefined) reject(error);
      };
      const answered = (answer: Result): void => {
        end(undefined, true);
        resolve(answer);
      };
      const failed = (thrown: unknown): void => {
        // One of our own is an answer, such as that a cursor is none.
        if (isWorkError(thrown)) return end(thrown, false);
        end(this.#failure(`failed to answer ${what}: ${toErrorInfo(thrown).message}`, thrown), true);
      };
      const cancelTimer = this.pool.inScope(() =>
        this.pool.clock.setTimer(() => {
          const why = this.#error === undefined ? '' : ` (${toErrorInfo(this.#error).message})`;
          end(this.#failure(`did not answer ${what} within ${formatDuration(timeoutMs)}${why}`), true);
        }, timeoutMs),
      );
      const call: Call = {
        begin: () => {
          call.isWaiting = false;
          try {
            run(this.backend).then(answered, failed);
          } catch (error) {
            failed(error);
          }
        },
        isWaiting: true,
        giveUp: (error = this.#failure(closedTo(what))) => end(error, false),
      };
      this.#calls.add(call);
      if (this.#isOpen) call.begin();
    });
  }

  /** Tells `listener` of jobs of that queue that may have been taken away. Answers how to stop it. */
  onRevoked(queue: string, listener: OnRevoked): () => void {
    const listeners = this.#revoked.get(queue) ?? new Set();
    this.#revoked.set(queue, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Lets go of the backend. Calls that are under way have failed. Takes a few seconds at most. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#isOpen = false;
    this.#stopWaiting();
    for (const call of this.#calls) call.giveUp();
    await this.#closeBackend();
    // One that opened just now is closed by whoever opens it.
    if (this.#opening !== undefined) await inTime(this.pool, this.#opening, closeLimitMs, () => {});
  }

  /** Reports what goes wrong, and goes on. */
  async #closeBackend(): Promise<void> {
    const { name } = this.capabilities;
    const report = (error: unknown): void => this.pool.report(`closing the job backend "${name}"`, error);
    try {
      const late = (): void => report(new Error(`it did not end within ${formatDuration(closeLimitMs)}`));
      await inTime(this.pool, this.backend.close(), closeLimitMs, late);
    } catch (error) {
      report(error);
    }
  }

  async #openAtLast(): Promise<void> {
    const { pool } = this;
    for (let failures = 1; !this.#closed; failures++) {
      let isLate = false;
      try {
        const opened = this.backend.open({
          onRevoked: (queue, ids) => this.#revoked.get(queue)?.forEach((listener) => listener(ids)),
          onConnection: (error) => this.#note(error),
          warn: (message) => pool.say('warn', message),
          setTimer: (callback, delayMs) => pool.inScope(() => pool.clock.setTimer(callback, delayMs)),
        });
        // One that opens after all is to be closed.
        const late = (): unknown => (this.#closed ? this.#closeBackend() : undefined);
        await this.#openInTime(opened, () => (isLate = true)).finally(() => void opened.then(late, () => {}));
        this.#note(undefined);
        this.#isOpen = !this.#closed;
        this.#isOpening = false;
        for (const call of this.#calls) if (call.isWaiting) call.begin();
        this.#sayWhoRenews();
        if (failures > 1) pool.say('log', `The job backend "${this.capabilities.name}" is open`);
        return;
      } catch (error) {
        if (this.#closed) return this.#closeBackend();
        // It may open yet, and is to be opened once.
        if (isLate) await this.#closeBackend();
        if (isWorkError(error, 'INVALID_OPTION')) return this.#giveUpOpening(error);
        if (failures === 1) {
          pool.say('error', `The job backend "${this.capabilities.name}" cannot be opened; trying again`, {
            err: error,
          });
        }
        this.#fail(`cannot be opened: ${toErrorInfo(error).message}`, error);
        await this.#wait(delayAfter(reopening, failures, error, Math.random()));
      }
    }
  }

  /** Trying again would not change it. */
  #giveUpOpening(error: WorkError): void {
    this.#refusal = error;
    this.#note(error);
    this.pool.say('error', `The job backend "${this.capabilities.name}" cannot be opened`, { err: error });
    for (const call of this.#calls) call.giveUp(error);
  }

  /** Once: it decides what a blocked event loop costs. */
  #sayWhoRenews(): void {
    const { name, shared, leaseThread } = this.capabilities;
    if (!shared) return;
    const who = leaseThread
      ? 'a thread, also while the event loop is blocked'
      : 'the main loop: one that is blocked for longer than a lease loses it';
    this.pool.say('log', `Leases of the job backend "${name}" are renewed by ${who}`);
  }

  /** Rejects where it does not open in time, and as soon as it is to be closed. */
  #openInTime(opened: Promise<void>, onLate: () => void): Promise<void> {
    const stopped = new Promise<never>((_, reject) => {
      this.#stopWaiting = () => reject(new Error('it was closed before it had opened'));
    });
    return inTime(this.pool, Promise.race([opened, stopped]), openLimitMs, () => {
      onLate();
      throw new Error(`it did not open within ${formatDuration(openLimitMs)}`);
    });
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = this.pool.clock.setTimer(resolve, delayMs);
      this.#stopWaiting = () => {
        cancelTimer();
        resolve();
      };
    });
  }

  #fail(what: string, cause?: unknown): JobBackendError {
    const error = this.#failure(what, cause);
    this.#note(error);
    return error;
  }

  #note(error: Error | undefined): void {
    if (error !== undefined && this.#error === undefined) this.#errorSince = this.pool.clock.monotonic();
    this.#error = error;
  }

  #failure(what: string, cause?: unknown): JobBackendError {
    return new JobBackendError(this.capabilities.name, what, cause === undefined ? {} : { cause });
  }
}

function closedTo(what: string): string {
  return `is closed, and cannot answer ${what} any more`;
}
