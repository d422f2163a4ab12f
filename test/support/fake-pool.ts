import { WorkerPool, type WorkerPoolOptions } from 'nestjs-worker';
import { EventRecorder, FakeClock, recordEvents } from 'nestjs-worker/testing';
import { RecordingLogger } from './recording-logger.js';

export interface FakePool {
  readonly clock: FakeClock;
  readonly pool: WorkerPool;
  readonly events: EventRecorder;
  readonly logger: RecordingLogger;
}

/** A pool whose time stands still, whose lines and events are kept. */
export function fakePool(options: WorkerPoolOptions = {}): FakePool {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const pool = new WorkerPool({ clock, logger, ...options });
  return { clock, logger, pool, events: recordEvents(pool) };
}

/** Numbers from 0 up to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
