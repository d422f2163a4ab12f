import { type StartStopService, stressStartStop } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { seeded } from '../support/fake-pool.js';

class CountingService implements StartStopService {
  readonly calls: string[] = [];
  running = false;

  start(): void {
    this.calls.push('start');
    this.running = true;
  }

  async stop(): Promise<void> {
    this.calls.push('stop');
    await Promise.resolve();
    this.running = false;
  }
}

describe('stressStartStop', () => {
  it('calls as often as it is told, and stops last', async () => {
    const service = new CountingService();
    await stressStartStop(service, { actors: 3, calls: 7 });
    expect(service.calls).toHaveLength(3 * 7 + 1);
    expect(service.calls.at(-1)).toBe('stop');
    expect(new Set(service.calls)).toEqual(new Set(['start', 'stop']));
    expect(service.running).toBe(false);
  });

  it('is 10 actors with 50 calls each by default, and restarts where it can', async () => {
    class Restartable extends CountingService {
      restart(): void {
        this.calls.push('restart');
      }
    }
    const service = new Restartable();
    await stressStartStop(service);
    expect(service.calls).toHaveLength(501);
    for (const call of ['start', 'stop', 'restart'])
      expect(service.calls.filter((other) => other === call).length).toBeGreaterThan(100);
  });

  it('calls in the same order for the same numbers', async () => {
    const run = async (seed: number): Promise<string[]> => {
      const service = new CountingService();
      await stressStartStop(service, { random: seeded(seed) });
      return service.calls;
    };
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
  });

  it.each([
    [
      'at once',
      () => {
        throw new Error('start');
      },
    ],
    [
      'later',
      async () => {
        await Promise.resolve();
        throw new Error('start');
      },
    ],
  ])('rejects with what a call throws %s', async (_when, start) => {
    const service: StartStopService = { start, stop: () => undefined };
    await expect(stressStartStop(service, { actors: 2, calls: 10 })).rejects.toThrow('start');
  });

  it('finds a service that a late start leaves running', async () => {
    const service = {
      running: false,
      start: () => void (service.running = true),
      stop: async () => {
        service.running = false;
      },
      // Starts after the stop of somebody else has ended: the bug that this is for.
      restart: async () => {
        await service.stop();
        await new Promise((resolve) => setImmediate(resolve));
        service.start();
      },
    };
    const found: boolean[] = [];
    for (let seed = 1; seed <= 10; seed++) {
      await stressStartStop(service, { random: seeded(seed) });
      found.push(service.running);
    }
    expect(found).toContain(true);
  });
});
