import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { useApp } from './app.js';
import { ApiError } from './net/api.js';
import { Coalesced } from './net/coalesced.js';
import type { LiveData } from './state/live-data.js';
import type { Store } from './state/store.js';

/** The value of a store, or a part of it. Draws again when that changes. `select` should answer what is in there. */
export function useStore<Value>(store: Store<Value>): Value;
export function useStore<Value, Part>(store: Store<Value>, select: (value: Value) => Part): Part;
export function useStore<Value, Part>(store: Store<Value>, select?: (value: Value) => Part): Value | Part {
  const read = (): Value | Part => (select === undefined ? store.value : select(store.value));
  const part = read();
  const shown = useRef({ part, read });
  shown.current = { part, read };
  const [, redraw] = useState(0);
  useLayoutEffect(() => {
    const compare = (): void => {
      if (!Object.is(shown.current.read(), shown.current.part)) redraw((count) => count + 1);
    };
    compare();
    return store.watch(compare);
  }, [store]);
  return part;
}

/** A part of what the event stream has told; only where something is known already. */
export function useLive<Part>(select: (data: LiveData) => Part): Part | undefined {
  return useStore(useApp().data, (data) => (data === null ? undefined : select(data)));
}

/** Whether commands may be given. */
export function useOperator(): boolean {
  return useLive((data) => data.access) === 'operator';
}

/** The time of the server; draws again each second. */
export function useNow(): number {
  const { ticker } = useApp();
  const [now, setNow] = useState(ticker.now);
  useEffect(() => ticker.watch(() => setNow(ticker.now)), [ticker]);
  return now;
}

export interface Loaded<Document> {
  readonly document: Document | undefined;
  /** Why the last try failed. There may be a document from before. */
  readonly error: ApiError | undefined;
  /** Shows what a command was answered with. */
  readonly replace: (document: Document) => void;
}

/**
 * A document that is read at once, and again whenever `trigger` changes, with `pauseMs` in between at least. Once for
 * each component: give it a key that names the document.
 */
export function useDocument<Document>(
  load: (signal: AbortSignal) => Promise<Document>,
  trigger: unknown,
  pauseMs: number,
): Loaded<Document> {
  const [document, setDocument] = useState<Document>();
  const [error, setError] = useState<ApiError>();
  const reading = useRef<Coalesced>(null);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const left = new AbortController();
    const read = async (): Promise<void> => {
      try {
        const answer = await latest.current(left.signal);
        if (left.signal.aborted) return;
        setDocument(() => answer);
        setError(undefined);
      } catch (thrown) {
        if (left.signal.aborted) return;
        setError(thrown instanceof ApiError ? thrown : new ApiError(0, { error: String(thrown) }));
      }
    };
    const coalesced = new Coalesced(read, pauseMs);
    reading.current = coalesced;
    return () => {
      left.abort();
      coalesced.stop();
    };
  }, [pauseMs]);
  useEffect(() => reading.current?.request(), [trigger]);
  return { document, error, replace: (next) => setDocument(() => next) };
}
