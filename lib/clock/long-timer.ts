/** The longest delay that `setTimeout` honours: 2^31-1 ms, about 24.8 days. It fires at once past that. */
export const longestTimerMs = 2 ** 31 - 1;

/**
 * `setTimeout` for any delay: a long one is waited for in several pieces, and none at all takes the next turn of
 * the event loop instead of the millisecond that a timer takes at least.
 */
export function setLongTimer(callback: () => void, delayMs: number): () => void {
  if (delayMs <= 0) {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  }
  return inPieces(callback, delayMs);
}

function inPieces(callback: () => void, delayMs: number): () => void {
  let remainingMs = delayMs;
  let timeout: NodeJS.Timeout;
  const arm = (): void => {
    const pieceMs = Math.min(remainingMs, longestTimerMs);
    remainingMs -= pieceMs;
    timeout = setTimeout(remainingMs > 0 ? arm : callback, pieceMs);
  };
  arm();
  return () => clearTimeout(timeout);
}
