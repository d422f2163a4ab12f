import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import type { QueueView } from '../../lib/http/documents/job-queue.js';
import { QueueSamples } from '../../lib/http/queue-samples.js';
import { Pool } from '../../lib/pool/index.js';
import { signal } from '../support/nest.js';
import { RecordingLogger } from '../support/recording-logger.js';

function setUp() {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const pool = new Pool({ clock, logger });
  let looks = 0;
  const state: { views: () => Promise<readonly QueueView[]> } = {
    views: async () => [viewOf('mail', ++looks)],
  };
  const samples = new QueueSamples(pool, () => state.views());
  return { clock, logger, pool, samples, state };
}

function viewOf(name: string, ready: number | undefined): QueueView {
  const counts = { ready, active: 0, scheduled: 0, dead: 0, oldestReadyAgeMs: 1_500 };
  return { queue: { name }, counts: ready === undefined ? undefined : counts } as unknown as QueueView;
}

describe('QueueSamples', () => {
  it('takes one each five seconds', async () => {
    const { clock, samples } = setUp();
    samples.start();
    samples.start();
    expect(clock.pending).toBe(1);
    await clock.advance('12s');
    expect(samples.of('mail')).toEqual([
      {
        at: '2026-01-01T00:00:05.000Z',
        ready: 1,
        active: 0,
        scheduled: 0,
        dead: 0,
        oldest_ready_age_seconds: 1.5,
      },
      {
        at: '2026-01-01T00:00:10.000Z',
        ready: 2,
        active: 0,
        scheduled: 0,
        dead: 0,
        oldest_ready_age_seconds: 1.5,
      },
    ]);
    expect(samples.of('nix')).toEqual([]);
    samples.stop();
  });

  it('keeps those of ten minutes', async () => {
    const { clock, samples } = setUp();
    samples.start();
    await clock.advance('1h');
    expect(samples.of('mail')).toHaveLength(120);
    expect(samples.of('mail').at(-1)?.ready).toBe(720);
    samples.stop();
  });

  it('takes none where the backend does not answer, and goes on after what fails', async () => {
    const { clock, samples, state, pool, logger } = setUp();
    const sound = state.views;
    samples.start();
    state.views = async () => [viewOf('mail', undefined)];
    await clock.advance('5s');
    state.views = () => Promise.reject(new Error('no'));
    await clock.advance('5s');
    expect(samples.of('mail')).toEqual([]);
    expect(pool.isolatedErrors).toBe(1);
    expect(logger.messages().join()).toContain('how the job queues stand');
    state.views = sound;
    await clock.advance('5s');
    expect(samples.of('mail')).toHaveLength(1);
    samples.stop();
  });

  it('ends, also while it looks', async () => {
    const { clock, samples, state } = setUp();
    samples.start();
    const look = signal<readonly QueueView[]>();
    state.views = () => look.promise;
    await clock.advance('5s');
    samples.stop();
    look.resolve([]);
    await clock.settle();
    expect(clock.pending).toBe(0);
  });

  it('is one again where it is started anew while it looks', async () => {
    const { clock, samples, state } = setUp();
    samples.start();
    const look = signal<readonly QueueView[]>();
    state.views = () => look.promise;
    await clock.advance('5s');
    samples.stop();
    samples.start();
    look.resolve([]);
    await clock.settle();
    expect(clock.pending).toBe(1);
    samples.stop();
    expect(clock.pending).toBe(0);
  });
});
