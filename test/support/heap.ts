/** Bytes on the heap after a collection. Vitest runs with --expose-gc. */
export function heapUsed(): number {
  if (globalThis.gc === undefined) throw new Error('Run with --expose-gc.');
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}
