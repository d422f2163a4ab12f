import { TerminusModule } from '@nestjs/terminus';
import {
  getTaskQueueToken,
  type TaskQueue,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  WorkerModule,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { beforeEach, describe, expect, it } from 'vitest';
import { bootContext, createApp, signal } from '../../support/nest.js';

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

const modules = (options: TaskQueueModuleOptions = {}) => ({
  imports: [
    TerminusModule,
    WorkerHealthModule,
    WorkerModule.forRoot({ clock }),
    TaskQueueModule.register({ name: 'mail', concurrency: 1, ...options }),
  ],
});

const boot = async (options?: TaskQueueModuleOptions) => {
  const app = await bootContext(modules(options));
  return {
    app,
    health: app.get(WorkerHealthIndicator),
    queue: app.get<TaskQueue>(getTaskQueueToken('mail')),
  };
};

describe('the health of a task queue', () => {
  it('is up while it runs, and named apart from workers', async () => {
    const { health } = await boot();
    expect(health.isHealthy('work')).toEqual({
      work: { status: 'up', pool: 'started', workers: {}, taskQueues: { mail: 'running' } },
    });
  });

  it('is down before it has started', async () => {
    const app = await createApp(modules());
    expect(app.get(WorkerHealthIndicator).isHealthy('work')).toMatchObject({ work: { status: 'down' } });
  });

  it('is degraded once tasks have waited for a place without a break for the set time', async () => {
    const { health, queue } = await boot({ degradedAfter: '30s' });
    const gate = signal();
    queue.submit(() => gate.promise);
    await clock.settle();
    queue.submit(async () => {});
    await clock.advance('29s');
    expect(health.isHealthy('work').work).toMatchObject({ taskQueues: { mail: 'running' } });
    await clock.advance('2s');
    expect(health.isHealthy('work').work).toMatchObject({
      status: 'up',
      taskQueues: { mail: 'degraded' },
    });
    expect(health.readiness('work', { degraded: 'down' }).work.status).toBe('down');
    expect(health.isHealthy('work', { degraded: 'down' }).work.status).toBe('down');
    expect(health.liveness('work').work.status).toBe('up');
    gate.resolve();
    await clock.settle();
    expect(health.isHealthy('work', { degraded: 'down' }).work).toMatchObject({
      status: 'up',
      taskQueues: { mail: 'running' },
    });
  });

  it('is not degraded by a backlog that moves along, nor while it is paused', async () => {
    const { health, queue } = await boot({ degradedAfter: '30s', concurrency: 2 });
    queue.submit((ctx) => ctx.sleep('1h'));
    await clock.settle();
    // One place is left, and each of these finds it free.
    for (let index = 0; index < 10; index++) {
      queue.submit((ctx) => ctx.sleep('10s'));
      await clock.advance('10s');
    }
    expect(health.isHealthy('work').work).toMatchObject({ taskQueues: { mail: 'running' } });
    queue.pause();
    queue.submit(async () => {});
    await clock.advance('1h');
    expect(health.isHealthy('work').work).toMatchObject({ taskQueues: { mail: 'running' } });
  });

  it('is down, liveness too, while a task does not end that was told to', async () => {
    const { health, queue } = await boot({ abortGrace: '5s' });
    const gate = signal();
    const task = queue.enqueue(() => gate.promise, { timeout: '1s' });
    await clock.advance('6s');
    expect(task.status).toBe('stuck');
    expect(health.liveness('work').work).toMatchObject({ status: 'down', taskQueues: { mail: 'stuck' } });
    expect(health.isHealthy('work').work.status).toBe('down');
    gate.resolve();
    await clock.settle();
    expect(health.liveness('work').work.status).toBe('up');
  });
});
