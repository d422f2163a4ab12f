import { register, Registry } from 'prom-client';
import {
  getTaskQueueToken,
  type TaskContext,
  type TaskQueue,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  WorkerModule,
} from 'nestjs-worker';
import { taskMetricNames, WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootContext, moduleNamed, signal } from '../../support/nest.js';
import { scrape } from './samples.js';

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(() => register.clear());

const boot = async (options: TaskQueueModuleOptions = {}, metrics: object = WorkerMetricsModule) => {
  const queueOptions = { name: 'mail', backoff: 'none', ...options } as const;
  const app = await bootContext({
    imports: [WorkerModule.forRoot({ clock }), TaskQueueModule.register(queueOptions), metrics as never],
  });
  return { app, queue: app.get<TaskQueue>(getTaskQueueToken('mail')) };
};

const outcomes = async (metric: string): Promise<Record<string, number | undefined>> => {
  const samples = await scrape();
  const words = ['succeeded', 'failed', 'timed-out', 'cancelled', 'dropped'];
  const entries = words.map(
    (word) => [word, samples.get(`${metric}{queue="mail",outcome="${word}"}`)] as const,
  );
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
};

const none = { succeeded: 0, failed: 0, 'timed-out': 0, cancelled: 0 };

/** Never ends but when it is told to. */
const untilAborted = (ctx: TaskContext): Promise<void> => ctx.sleep('1 day');

describe('the metrics of a task queue', () => {
  it('have every series at 0 before anything has happened', async () => {
    await boot({ concurrency: 3 });
    expect(await outcomes(taskMetricNames.attempts)).toEqual(none);
    expect(await outcomes(taskMetricNames.completed)).toEqual({ ...none, dropped: 0 });
    const samples = await scrape();
    const others = [
      'running',
      'stuck',
      'paused',
      'oldest_due_age_seconds',
      'enqueued_total',
      'rejected_total',
    ];
    for (const name of others.map((other) => `task_${other}`))
      expect(samples.get(`${name}{queue="mail"}`)).toBe(0);
    for (const state of ['ready', 'delayed', 'waiting'])
      expect(samples.get(`task_queued{queue="mail",state="${state}"}`)).toBe(0);
    expect(samples.get('task_concurrency{queue="mail"}')).toBe(3);
    expect(samples.get('task_wait_seconds_count{queue="mail"}')).toBe(0);
  });

  it('count tasks and attempts by how they ended', async () => {
    const { queue } = await boot({ concurrency: 10 });
    queue.submit(async () => 'fine');
    queue.submit(() => Promise.reject(new Error('down')), { maxAttempts: 3 });
    queue.submit(untilAborted, { timeout: '1s' });
    const cancelled = queue.enqueue(untilAborted);
    const later = queue.enqueue(untilAborted, { delay: '1h' });
    await clock.settle();
    expect((await scrape()).get('task_running{queue="mail"}')).toBe(2);
    cancelled.cancel();
    later.cancel();
    await clock.advance('1s');
    await queue.onIdle();

    expect((await scrape()).get('task_enqueued_total{queue="mail"}')).toBe(5);
    expect(await outcomes(taskMetricNames.attempts)).toEqual({
      succeeded: 1,
      failed: 3,
      'timed-out': 1,
      cancelled: 1,
    });
    expect(await outcomes(taskMetricNames.completed)).toEqual({
      succeeded: 1,
      failed: 1,
      'timed-out': 1,
      cancelled: 2,
      dropped: 0,
    });
    const samples = await scrape();
    expect(samples.get('task_running{queue="mail"}')).toBe(0);
    // Three that had one attempt, one that had none, and one that had three.
    expect(samples.get('task_completion_attempts_bucket{le="1",queue="mail"}')).toBe(4);
    expect(samples.get('task_completion_attempts_bucket{le="3",queue="mail"}')).toBe(5);
    expect(samples.get('task_completion_attempts_sum{queue="mail"}')).toBe(6);
  });

  it('tell what waits, and for how long', async () => {
    const { queue } = await boot({ concurrency: 1, maxQueued: 3, overflow: 'wait' });
    const gate = signal();
    queue.submit(() => gate.promise);
    await clock.settle();
    queue.submit(async () => {});
    queue.submit(async () => {}, { delay: '1h' });
    queue.submit(async () => {});
    queue.submit(async () => {});
    await clock.advance('90s');
    const samples = await scrape();
    expect(samples.get('task_queued{queue="mail",state="ready"}')).toBe(2);
    expect(samples.get('task_queued{queue="mail",state="delayed"}')).toBe(1);
    expect(samples.get('task_queued{queue="mail",state="waiting"}')).toBe(1);
    expect(samples.get('task_oldest_due_age_seconds{queue="mail"}')).toBe(90);
    gate.resolve();
    await clock.settle();
    const after = await scrape();
    expect(after.get('task_oldest_due_age_seconds{queue="mail"}')).toBe(0);
    expect(after.get('task_wait_seconds_sum{queue="mail"}')).toBe(270);
    expect(after.get('task_wait_seconds_bucket{le="60",queue="mail"}')).toBe(1);
    expect(after.get('task_wait_seconds_bucket{le="600",queue="mail"}')).toBe(4);
    expect(after.get('task_duration_seconds_sum{queue="mail"}')).toBe(90);
  });

  it('count each task that was refused for want of room, and none that was dropped or let in later', async () => {
    const { queue } = await boot({ concurrency: 1, maxQueued: 1 });
    const rejected = async () => (await scrape()).get('task_rejected_total{queue="mail"}');
    const gate = signal();
    queue.submit(() => gate.promise);
    await clock.settle();
    queue.submit(async () => {});
    expect(await rejected()).toBe(0);
    const full = expect.objectContaining({ code: 'TASK_QUEUE_FULL' });
    expect(() => queue.submit(async () => {})).toThrow(full);
    expect(() => queue.submit(async () => {}, { delay: '1s' })).toThrow(full);
    expect(() => queue.enqueue(async () => {})).toThrow(full);
    expect(await rejected()).toBe(3);
    expect(() => queue.enqueueMany([async () => {}, async () => {}])).toThrow(full);
    expect(await rejected()).toBe(5);
    // What is called off already needs no room.
    queue.submit(async () => {}, { signal: AbortSignal.abort() });
    gate.resolve();
    await queue.onIdle();
    expect(await rejected()).toBe(5);
    expect((await scrape()).get('task_enqueued_total{queue="mail"}')).toBe(3);
  });

  it.each([
    ['wait', { dropped: 0, succeeded: 3 }],
    ['drop-oldest', { dropped: 1, succeeded: 2 }],
  ] as const)('count none as refused with overflow %s', async (overflow, completed) => {
    const { queue } = await boot({ concurrency: 1, maxQueued: 1, overflow });
    const gate = signal();
    queue.submit(() => gate.promise);
    await clock.settle();
    for (let n = 0; n < 2; n++) queue.submit(async () => {});
    gate.resolve();
    await queue.onIdle();
    expect((await scrape()).get('task_rejected_total{queue="mail"}')).toBe(0);
    expect(await outcomes(taskMetricNames.completed)).toMatchObject(completed);
  });

  it('time marks under the scope of the task, the failing and the closing segment too', async () => {
    const { queue } = await boot();
    queue.submit(
      async (ctx) => {
        await ctx.sleep('2s');
        ctx.mark('fetched');
        await ctx.sleep('3s');
        throw new Error('no paper');
      },
      { name: 'print', scope: 'printing' },
    );
    await clock.advance('5s');
    const samples = await scrape();
    const mark = (action: string, outcome: string): number | undefined =>
      samples.get(
        `task_mark_duration_seconds_sum{queue="mail",scope="printing",action="${action}",outcome="${outcome}"}`,
      );
    expect(mark('fetched', 'success')).toBe(2);
    expect(mark('end', 'error')).toBe(3);
  });

  it('are exact for an unlimited queue, and after it was given a limit', async () => {
    const { queue } = await boot({ concurrency: Infinity });
    expect((await scrape()).get('task_concurrency{queue="mail"}')).toBeNaN();
    expect(await register.metrics()).toContain('task_concurrency{queue="mail"} +Inf');
    expect(await register.metrics()).toContain('task_concurrency{queue="mail"} +Inf');
    queue.concurrency = 4;
    expect((await scrape()).get('task_concurrency{queue="mail"}')).toBe(4);
  });

  it('keep what was counted when the app closes, and let another app go on', async () => {
    const first = await boot({ concurrency: 2 });
    first.queue.submit(async () => {});
    await first.queue.onIdle();
    const second = await boot({ concurrency: 5 });
    second.queue.submit(async () => {});
    await second.queue.onIdle();
    expect((await scrape()).get('task_concurrency{queue="mail"}')).toBe(7);
    await first.app.close();
    const samples = await scrape();
    expect(samples.get('task_concurrency{queue="mail"}')).toBe(5);
    expect(samples.get('task_enqueued_total{queue="mail"}')).toBe(2);
    expect(samples.get('task_duration_seconds_count{queue="mail"}')).toBe(2);
  });

  it('are in the registry, with the prefix and the buckets that are asked for', async () => {
    const registry = new Registry();
    const options = { registry, prefix: 'shop', taskBuckets: [2, 4], marks: 'summary' as const };
    const { queue } = await boot({}, WorkerMetricsModule.register(options));
    queue.submit(
      async (ctx) => {
        await ctx.sleep('3s');
        ctx.mark('slept');
      },
      { name: 'nap' },
    );
    await clock.advance('3s');
    const samples = await scrape(registry);
    expect(samples.get('shop_task_duration_seconds_bucket{le="2",queue="mail"}')).toBe(0);
    expect(samples.get('shop_task_duration_seconds_bucket{le="4",queue="mail"}')).toBe(1);
    expect(samples.get('shop_task_duration_seconds_bucket{le="+Inf",queue="mail"}')).toBe(1);
    expect(
      samples.get(
        'shop_task_mark_duration_seconds{quantile="0.5",queue="mail",scope="nap",action="slept",outcome="success"}',
      ),
    ).toBe(3);
    registry.resetMetrics();
    expect((await scrape(registry)).get('shop_task_duration_seconds_count{queue="mail"}')).toBe(0);
  });

  it('are of a queue that comes later, too', async () => {
    const { app } = await boot();
    const { Pool } = await import('../../../lib/pool/index.js');
    const { POOL } = await import('../../../lib/pool/index.js');
    const { TaskQueue: Queue } = await import('../../../lib/tasks/index.js');
    const pool = app.get<InstanceType<typeof Pool>>(POOL);
    const late = new Queue({ name: 'late' }, pool, 'a test');
    pool.add(late.child);
    late.submit(async () => {});
    await late.onIdle();
    expect((await scrape()).get('task_enqueued_total{queue="late"}')).toBe(1);
    expect((await scrape()).get('task_duration_seconds_count{queue="late"}')).toBe(1);
  });
});

describe('the metrics of a task queue in two registries of one app', () => {
  const bootWithTwo = async (marks: 'histogram' | 'summary') => {
    const a = new Registry();
    const b = new Registry();
    const modules = [
      moduleNamed('OfA', { imports: [WorkerMetricsModule.register({ registry: a, taskBuckets: [1] })] }),
      moduleNamed('OfB', {
        imports: [WorkerMetricsModule.register({ registry: b, taskBuckets: [4], marks })],
      }),
    ];
    const metrics = moduleNamed('Metrics', { imports: modules });
    return { a, b, ...(await boot({ concurrency: 3, maxAttempts: 2 }, metrics)) };
  };

  const exercise = async (queue: TaskQueue): Promise<void> => {
    queue.submit(
      async (ctx) => {
        await ctx.sleep('2s');
        ctx.mark('fetched');
        if (ctx.attempt === 1) throw new Error('no paper');
      },
      { name: 'print' },
    );
    await clock.advance('2s');
    await clock.advance('2s');
    await queue.onIdle();
  };

  /** What is the same in both. */
  const counted = {
    'task_enqueued_total{queue="mail"}': 1,
    'task_attempts_total{queue="mail",outcome="failed"}': 1,
    'task_attempts_total{queue="mail",outcome="succeeded"}': 1,
    'task_completed_total{queue="mail",outcome="succeeded"}': 1,
    'task_concurrency{queue="mail"}': 3,
    'task_running{queue="mail"}': 0,
    'task_wait_seconds_count{queue="mail"}': 2,
    'task_duration_seconds_count{queue="mail"}': 2,
    'task_duration_seconds_sum{queue="mail"}': 4,
    'task_completion_attempts_sum{queue="mail"}': 2,
    'task_mark_duration_seconds_count{queue="mail",scope="print",action="fetched",outcome="success"}': 2,
    'task_mark_duration_seconds_sum{queue="mail",scope="print",action="fetched",outcome="success"}': 4,
  };

  it.each(['histogram', 'summary'] as const)('are whole in both, whose marks may be a %s', async (marks) => {
    const { a, b, queue } = await bootWithTwo(marks);
    await exercise(queue);
    // One is read more often than the other.
    await scrape(a);
    const samples = { a: await scrape(a), b: await scrape(b) };
    expect(Object.fromEntries(samples.a)).toMatchObject({
      ...counted,
      'task_duration_seconds_bucket{le="1",queue="mail"}': 0,
      'task_duration_seconds_bucket{le="+Inf",queue="mail"}': 2,
    });
    expect(Object.fromEntries(samples.b)).toMatchObject({
      ...counted,
      'task_duration_seconds_bucket{le="4",queue="mail"}': 2,
    });
    expect(await register.metrics()).not.toContain('task_');
  });

  it('are emptied and left in one without a trace in the other', async () => {
    const { a, b, app, queue } = await bootWithTwo('histogram');
    await exercise(queue);
    await scrape(a);
    a.resetMetrics();
    expect((await scrape(a)).get('task_duration_seconds_count{queue="mail"}')).toBe(0);
    expect(Object.fromEntries(await scrape(b))).toMatchObject(counted);
    await exercise(queue);
    expect(Object.fromEntries(await scrape(a))).toMatchObject(counted);
    expect((await scrape(b)).get('task_enqueued_total{queue="mail"}')).toBe(2);
    await app.close();
    for (const [registry, tasks] of [[a, 1] as const, [b, 2] as const]) {
      const samples = await scrape(registry);
      expect(samples.get('task_completed_total{queue="mail",outcome="succeeded"}')).toBe(tasks);
      expect(samples.get('task_duration_seconds_count{queue="mail"}')).toBe(2 * tasks);
      expect(samples.get('task_concurrency{queue="mail"}')).toBe(0);
    }
  });
});

describe('the gauges of a task queue', () => {
  const gauge = async (metric: string): Promise<number | undefined> =>
    (await scrape()).get(`${metric}{queue="mail"}`);

  it('are right at the next reading after the registry was emptied while tasks run', async () => {
    const { app, queue } = await boot({ concurrency: 2, maxQueued: 5 });
    const gates = [signal(), signal(), signal()];
    gates.forEach(({ promise }) => queue.submit(() => promise));
    await clock.settle();
    expect(await gauge('task_running')).toBe(2);

    register.resetMetrics();
    expect(await gauge('task_running')).toBe(2);
    expect(await gauge('task_concurrency')).toBe(2);
    expect((await scrape()).get('task_queued{queue="mail",state="ready"}')).toBe(1);

    register.resetMetrics();
    queue.concurrency = 1;
    for (const [ended, { resolve }] of gates.entries()) {
      resolve();
      await clock.settle();
      expect(await gauge('task_running')).toBe(ended === 2 ? 0 : 1);
      register.resetMetrics();
    }
    expect(await gauge('task_running')).toBe(0);
    expect(await gauge('task_concurrency')).toBe(1);

    register.resetMetrics();
    await app.close();
    expect(await gauge('task_running')).toBe(0);
    expect(await gauge('task_concurrency')).toBe(0);
  });

  it('are those of all apps together that have a queue of this name', async () => {
    const gate = signal();
    const first = await boot({ concurrency: 1 });
    const second = await boot({ concurrency: 2 });
    first.queue.submit(() => gate.promise);
    first.queue.submit(async () => {});
    await clock.advance('60s');
    for (let n = 0; n < 3; n++) second.queue.submit(() => gate.promise);
    await clock.advance('30s');
    expect(await gauge('task_running')).toBe(3);
    expect(await gauge('task_concurrency')).toBe(3);
    expect(await gauge('task_oldest_due_age_seconds')).toBe(90);
    expect((await scrape()).get('task_queued{queue="mail",state="ready"}')).toBe(2);

    gate.resolve();
    await clock.settle();
    expect(await gauge('task_running')).toBe(0);
    expect(await gauge('task_oldest_due_age_seconds')).toBe(0);
  });

  it('tell of a pause while one of the apps has it paused', async () => {
    const first = await boot();
    const second = await boot();
    first.queue.pause();
    expect(await gauge('task_paused')).toBe(1);
    register.resetMetrics();
    expect(await gauge('task_paused')).toBe(1);
    second.queue.pause();
    first.queue.resume();
    expect(await gauge('task_paused')).toBe(1);
    await second.app.close();
    expect(await gauge('task_paused')).toBe(0);
  });

  it('tell the age of the older app whichever was there first', async () => {
    const gate = signal();
    const young = await boot({ concurrency: 1 });
    const old = await boot({ concurrency: 1 });
    old.queue.submit(() => gate.promise);
    old.queue.submit(async () => {});
    await clock.advance('60s');
    young.queue.submit(() => gate.promise);
    young.queue.submit(async () => {});
    await clock.advance('30s');
    expect(await gauge('task_oldest_due_age_seconds')).toBe(90);
    gate.resolve();
    await old.app.close();
    expect(await gauge('task_oldest_due_age_seconds')).toBe(0);
  });

  it('are those of the other app once an unlimited one has closed', async () => {
    const unlimited = await boot({ concurrency: Infinity });
    await boot({ concurrency: 5 });
    expect(await register.metrics()).toContain('task_concurrency{queue="mail"} +Inf');
    await unlimited.app.close();
    expect(await gauge('task_concurrency')).toBe(5);
    register.resetMetrics();
    expect(await gauge('task_concurrency')).toBe(5);
  });
});
