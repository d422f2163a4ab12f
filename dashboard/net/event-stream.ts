import { EventStreamParser, type ServerSentEvent } from './event-stream-parser.js';
import { retryDelayMs } from './retry-delay.js';

export type StreamState =
  /** For the first time. */
  | { readonly state: 'connecting' }
  | { readonly state: 'live' }
  /** Lost, and tried again. `error`: why, for people. */
  | { readonly state: 'reconnecting'; readonly error: string }
  /** The server does not let us in: 401 or 403. Not tried again. */
  | { readonly state: 'refused'; readonly status: number; readonly error: string };

export interface EventStreamOptions {
  readonly url: URL;
  /** Asked for each connection. */
  readonly headers: () => Record<string, string>;
  readonly onEvent: (event: ServerSentEvent) => void;
  readonly onState: (state: StreamState) => void;
  /** A connection that says nothing for as long is dead. Default 25 s: the server has a heartbeat of 10 s. */
  readonly silentMs?: number;
  readonly random?: () => number;
  readonly fetch?: typeof fetch;
}

/** Reads server-sent events by `fetch`, which can send headers where `EventSource` cannot, and connects again when lost. */
export class EventStream {
  readonly #options: EventStreamOptions;
  #connection: AbortController | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** Connects, also where it is connected already. */
  start(): void {
    this.stop();
    this.#failures = 0;
    this.#options.onState({ state: 'connecting' });
    void this.#connect();
  }

  stop(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#connection?.abort();
    this.#connection = undefined;
  }

  /** Tries at once where the next try is waited for: the network is back, or somebody looks again. */
  hurry(): void {
    if (this.#retryTimer === undefined) return;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    void this.#connect();
  }

  async #connect(): Promise<void> {
    const connection = new AbortController();
    this.#connection = connection;
    try {
      await this.#read(connection);
      this.#lost(connection, 'The server closed the connection.');
    } catch (error) {
      this.#lost(connection, reasonOf(connection.signal.reason === silence ? silence : error));
    }
  }

  /** Until the stream ends. */
  async #read(connection: AbortController): Promise<void> {
    const { url, headers, onEvent, onState, silentMs = 25_000 } = this.#options;
    const load = this.#options.fetch ?? fetch;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => connection.abort(silence), silentMs);
    };
    heard();
    try {
      const response = await load(url, {
        headers: { accept: 'text/event-stream', ...headers() },
        credentials: 'same-origin',
        signal: connection.signal,
      });
      if (response.status === 401 || response.status === 403) {
        const error = await errorTextOf(response);
        if (this.#isCurrent(connection)) {
          this.stop();
          onState({ state: 'refused', status: response.status, error });
        }
        return;
      }
      if (!response.ok || response.body === null) throw new Error(await errorTextOf(response));
      if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream'))
        throw new Error('Something else answered in place of the server: perhaps a page to sign in at.');
      const parser = new EventStreamParser();
      const openedAt = performance.now();
      let live = false;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || !this.#isCurrent(connection)) return;
        heard();
        for (const event of parser.read(value)) {
          if (!live) onState({ state: 'live' });
          live = true;
          // One that is closed as soon as it is there must not be asked for ever so often.
          if (performance.now() - openedAt > steadyMs) this.#failures = 0;
          onEvent(event);
        }
      }
    } finally {
      clearTimeout(timer);
      connection.abort();
    }
  }

  #lost(connection: AbortController, error: string): void {
    if (!this.#isCurrent(connection)) return;
    this.#connection = undefined;
    this.#failures += 1;
    this.#options.onState({ state: 'reconnecting', error });
    const random = this.#options.random ?? Math.random;
    this.#retryTimer = setTimeout(() => this.hurry(), retryDelayMs(this.#failures, random()));
  }

  /** False once it was stopped, or replaced by another connection. */
  #isCurrent(connection: AbortController): boolean {
    return this.#connection === connection;
  }
}

/** A connection that has lasted as long was a good one. */
const steadyMs = 5_000;
const silence = new Error('The server has gone silent.');

/** What the server says in its answer, or its status where it says nothing that can be read. */
export async function errorTextOf(response: Response): Promise<string> {
  const plain = `The server answered ${response.status}.`;
  try {
    const body: unknown = await response.json();
    const text = typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined;
    return typeof text === 'string' && text !== '' ? text : plain;
  } catch {
    return plain;
  }
}

function reasonOf(error: unknown): string {
  // Browsers say "Failed to fetch", "Load failed", "network error": nothing that helps.
  return error instanceof Error && error.name === 'Error' ? error.message : 'The server cannot be reached.';
}
