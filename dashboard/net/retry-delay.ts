const initialMs = 500;
const maxMs = 15_000;

/** How long to wait before the `attempt`th try (1 is the first) to connect again. `random`: 0 to 1, spreads the readers. */
export function retryDelayMs(attempt: number, random: number): number {
  const delay = Math.min(maxMs, initialMs * 2 ** Math.min(attempt - 1, 10));
  return delay / 2 + (delay / 2) * random;
}
