import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { type Interruptible, wait } from '../../lib/clock/index.js';

class Interruption implements Interruptible {
  aborted = false;
  readonly listeners = new Set<() => void>();

  onAbort(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  abort(): void {
    this.aborted = true;
    this.listeners.forEach((listener) => listener());
  }
}

describe('wait', () => {
  it('answers true once the time has passed, and listens no longer', async () => {
    const clock = new FakeClock();
    const interruption = new Interruption();
    const waited = wait(clock, 1_000, interruption);
    expect(interruption.listeners.size).toBe(1);
    await clock.advance('1s');
    expect(await waited).toBe(true);
    expect(interruption.listeners.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('answers false at once when it is interrupted, and holds no timer', async () => {
    const clock = new FakeClock();
    const interruption = new Interruption();
    const waited = wait(clock, Infinity, interruption);
    interruption.abort();
    expect(clock.pending).toBe(0);
    expect(await waited).toBe(false);
  });

  it('does not begin to wait once it was interrupted', async () => {
    const clock = new FakeClock();
    const interruption = new Interruption();
    interruption.abort();
    const waited = wait(clock, 1_000, interruption);
    expect(clock.pending).toBe(0);
    expect(await waited).toBe(false);
  });
});
