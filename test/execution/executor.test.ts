import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import {
  currentContext,
  currentExecutionId,
  currentLogger,
  currentTracer,
  currentWorkerName,
} from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { TestAttempt } from '../support/attempt.js';
import { RecordingLogger } from '../support/recording-logger.js';

describe('execute', () => {
  it('never rejects, also when the handler throws before it gives a promise', async () => {
    const outcome = await new TestAttempt().execute(() => {
      throw new Error('at once');
    });
    expect(outcome).toMatchObject({ kind: 'failed', error: { message: 'at once' } });
  });

  it('aborts an attempt that outlives its timeout, and waits for its end', async () => {
    const attempt = new TestAttempt();
    const steps: string[] = [];
    let finish!: () => void;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const outcome = attempt.execute(async (ctx) => {
      ctx.signal.addEventListener('abort', () => steps.push('aborted'));
      await finished;
      steps.push('cleaned up');
    }, 5_000);
    void outcome.then(() => steps.push('ended'));

    await attempt.clock.advance(4_999);
    expect(steps).toEqual([]);
    await attempt.clock.advance(1);
    expect(steps).toEqual(['aborted']);
    expect(attempt.abortedFor).toEqual(['timeout']);
    await attempt.clock.advance('1h');
    expect(steps).toEqual(['aborted']);
    finish();
    expect((await outcome).kind).toBe('timed-out');
    expect(steps).toEqual(['aborted', 'cleaned up', 'ended']);
  });

  it('leaves no timer behind, however the attempt ends', async () => {
    for (const end of [() => 1, () => Promise.reject(new Error('x'))]) {
      const attempt = new TestAttempt();
      await attempt.execute(end, 5_000);
      expect(attempt.clock.pending).toBe(0);
    }
  });

  it('does not abort an attempt that ended just before its timeout', async () => {
    const attempt = new TestAttempt();
    await attempt.execute(() => 1, 5_000);
    await attempt.clock.advance('1h');
    expect(attempt.context.signal.aborted).toBe(false);
    expect(attempt.abortedFor).toEqual([]);
  });

  it('takes the first reason for the abort and ignores the next', async () => {
    const attempt = new TestAttempt();
    attempt.context.abort('shutdown');
    attempt.context.abort('timeout');
    expect(attempt.abortedFor).toEqual(['shutdown']);
    expect(attempt.context.signal.reason).toMatchObject({ reason: 'shutdown' });
  });
});

describe('the current context', () => {
  it('is that of the attempt across awaits, timers and callbacks, and gone outside', async () => {
    const attempt = new TestAttempt();
    const seen: unknown[] = [];
    await attempt.execute(async () => {
      seen.push(currentContext());
      await delay(1);
      seen.push(currentContext());
      await new Promise<void>((resolve) => setImmediate(resolve));
      await Promise.resolve().then(() => seen.push(currentContext()));
    });
    expect(seen).toEqual([attempt.context, attempt.context, attempt.context]);
    expect(currentContext()).toBeUndefined();
  });

  it('has accessors for name, id, logger and tracer', async () => {
    const attempt = new TestAttempt();
    const accessed: unknown[] = [];
    await attempt.execute(() => {
      accessed.push(currentWorkerName(), currentExecutionId(), currentLogger(), currentTracer());
    });
    expect(accessed).toEqual(['relay', 'id-1', attempt.context.logger, attempt.context.tracer]);
    for (const accessor of [currentWorkerName, currentExecutionId, currentLogger, currentTracer])
      expect(accessor()).toBeUndefined();
  });

  it('is kept apart between attempts that run at once', async () => {
    const names = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const attempt = new TestAttempt();
        const outcome = await attempt.execute(async () => {
          await new Promise<void>((resolve) => setImmediate(resolve));
          return currentContext() === attempt.context;
        });
        return outcome.kind === 'succeeded' && outcome.value;
      }),
    );
    expect(names).toEqual(Array.from({ length: 50 }, () => true));
  });

  it('leaves other async contexts as they are', async () => {
    const storage = new AsyncLocalStorage<string>();
    const outcome = await storage.run('outer', () =>
      new TestAttempt().execute(async () => {
        await Promise.resolve();
        return storage.getStore();
      }),
    );
    expect(outcome).toEqual({ kind: 'succeeded', value: 'outer' });
  });
});

describe('ctx.logger', () => {
  it('names the execution on each line, once', async () => {
    const attempt = new TestAttempt();
    await attempt.execute((ctx) => {
      ctx.logger.log('working', { rows: 3 });
      ctx.logger.child({ shard: 1 }).warn('slow');
    });
    const bound = { worker: 'relay', workerExecutionID: 'id-1' };
    expect(attempt.logger.lines).toMatchObject([
      { level: 'log', message: 'working', given: [bound, { rows: 3 }] },
      { level: 'warn', message: 'slow', given: [bound, { shard: 1 }] },
    ]);
  });

  it('is made once per attempt, and only if asked for', async () => {
    const attempt = new TestAttempt();
    let children = 0;
    attempt.logger.child = () => {
      children++;
      return new RecordingLogger();
    };
    await attempt.execute(() => undefined);
    expect(children).toBe(0);
    expect(attempt.context.logger).toBe(attempt.context.logger);
    expect(children).toBe(1);
  });
});
