import { type JobBackend, MemoryJobBackend, type MemoryJobBackendOptions } from 'nestjs-worker';
import { type ConformanceSubject, FakeClock } from 'nestjs-worker/testing';

/** A backend in memory whose time stands still. */
export function memorySubject(
  Backend: new (options: MemoryJobBackendOptions) => JobBackend = MemoryJobBackend,
): ConformanceSubject & { readonly clock: FakeClock } {
  const clock = new FakeClock();
  return {
    clock,
    backend: new Backend({ clock }),
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    setTimer: (callback, delayMs) => clock.setTimer(callback, delayMs),
  };
}
