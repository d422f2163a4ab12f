import { TerminusModule } from '@nestjs/terminus';
import {
  getJobQueueToken,
  type JobHandlerOptions,
  type JobQueue,
  type JobQueueOptions,
  JobsModule,
  MemoryJobBackend,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { beforeEach, describe, expect, it } from 'vitest';
import { FaultyBackend } from '../../support/fake-jobs.js';
import { jobHandler } from '../../support/job-handlers.js';
import { bootContext, createApp, settle, signal } from '../../support/nest.js';

let clock: FakeClock;
let backend: FaultyBackend;
beforeEach(() => {
  clock = new FakeClock();
  backend = new FaultyBackend(new MemoryJobBackend({ clock }));
});

interface Setup {
  readonly handle?: () => unknown;
  readonly handler?: JobHandlerOptions;
  readonly queue?: Partial<JobQueueOptions>;
}

/** An app that runs the jobs of "mail", and only enqueues those of "audit". */
const modules = ({ handle = () => {}, handler, queue }: Setup = {}) => ({
  imports: [
    TerminusModule,
    WorkerHealthModule,
    JobsModule.forRoot({ clock, backend }),
    JobsModule.registerQueue({ name: 'mail', ...queue }, { name: 'audit' }),
  ],
  providers: [jobHandler('mail', handle, handler)],
});

const boot = async (setup?: Setup) => {
  const app = await bootContext(modules(setup));
  await settle();
  return {
    app,
    health: app.get(WorkerHealthIndicator),
    mail: app.get<JobQueue>(getJobQueueToken('mail')),
  };
};

const up = { status: 'up', jobQueues: { mail: 'running' } };

describe('the health of a job consumer', () => {
  it('is up while it runs, and named apart from workers; a queue that is only filled has none', async () => {
    const { health } = await boot();
    expect(health.isHealthy('work')).toEqual({
      work: { status: 'up', pool: 'started', workers: {}, jobQueues: { mail: 'running' }, jobBackend: 'up' },
    });
    expect(health.startup('work').work.status).toBe('up');
  });

  it('is not there in an app without handlers', async () => {
    const app = await bootContext({ ...modules(), providers: [] });
    expect(app.get(WorkerHealthIndicator).isHealthy('work')).toEqual({
      work: { status: 'up', pool: 'started', workers: {}, jobBackend: 'up' },
    });
  });

  it('tells of the backend where jobs are only enqueued', async () => {
    const app = await bootContext({ ...modules(), providers: [] });
    const health = app.get(WorkerHealthIndicator);
    backend.break('fails', 'enqueue');
    const audit = app.get<JobQueue>(getJobQueueToken('audit'));
    await expect(audit.enqueue('a')).rejects.toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
    expect(health.readiness('work').work).toMatchObject({ status: 'up', jobBackend: 'degraded' });
    expect(health.readiness('work', { degraded: 'down' }).work.status).toBe('down');
    await clock.advance('10s');
    expect(health.readiness('work').work).toMatchObject({ status: 'down', jobBackend: 'down' });
    expect(health.liveness('work').work.status).toBe('up');
    backend.mend();
    await audit.enqueue('a');
    expect(health.readiness('work').work).toMatchObject({ status: 'up', jobBackend: 'up' });
  });

  it('is down before it has started', async () => {
    const app = await createApp(modules());
    expect(app.get(WorkerHealthIndicator).isHealthy('work')).toMatchObject({ work: { status: 'down' } });
  });

  it.each(['claim', 'settle'] as const)(
    'is degraded at once, and down in the end, while the backend fails to answer a %s; alive all the while',
    async (call) => {
      const { health, mail } = await boot({ queue: { callTimeout: '20s' } });
      backend.break('fails', 'claim', call);
      await mail.enqueue('a');
      await clock.advance('5s');
      expect(health.isHealthy('work').work).toMatchObject({ status: 'up', jobQueues: { mail: 'degraded' } });
      expect(health.readiness('work').work.status).toBe('up');
      expect(health.readiness('work', { degraded: 'down' }).work.status).toBe('down');
      expect(health.isHealthy('work', { degraded: 'down' }).work.status).toBe('down');
      await clock.advance('20s');
      expect(health.isHealthy('work').work).toMatchObject({ status: 'down', jobQueues: { mail: 'error' } });
      expect(health.readiness('work').work.status).toBe('down');
      expect(health.liveness('work').work).toMatchObject({ status: 'up', jobQueues: { mail: 'error' } });
      expect(health.startup('work').work.status).toBe('up');
      backend.mend();
      // The longest pause before it tries again is 10 s, give or take a half.
      await clock.advance('15s');
      expect(health.isHealthy('work', { degraded: 'down' }).work).toMatchObject(up);
      expect(await mail.counts()).toMatchObject({ ready: 0, active: 0 });
    },
  );

  it('is down where the backend was never reached, and up once it is', async () => {
    backend.break('fails', 'open');
    const { health } = await boot();
    expect(health.isHealthy('work').work).toMatchObject({ status: 'up', jobQueues: { mail: 'degraded' } });
    await clock.advance('15s');
    expect(health.readiness('work').work).toMatchObject({ status: 'down', jobQueues: { mail: 'error' } });
    expect(health.liveness('work').work.status).toBe('up');
    backend.mend();
    await clock.advance('15s');
    expect(health.readiness('work', { degraded: 'down' }).work).toMatchObject(up);
  });

  it('is down while jobs wait, slots are free, and none of them comes', async () => {
    // As a half-open connection does whose other calls go another way.
    let deaf = true;
    const { claim } = backend;
    Object.assign(backend, {
      claim: (queue: string, options: Parameters<typeof claim>[1]) =>
        deaf
          ? new Promise((resolve) => {
              const cancel = clock.setTimer(() => resolve([]), options.waitMs);
              options.signal.addEventListener('abort', () => {
                cancel();
                resolve([]);
              });
            })
          : claim(queue, options),
    });
    const { health, mail } = await boot({ queue: { notConsumingAfter: '30s' } });
    await mail.enqueue('a');
    await clock.advance('29s');
    expect(health.isHealthy('work').work).toMatchObject(up);
    await clock.advance('16s');
    expect(health.isHealthy('work').work).toMatchObject({ status: 'down', jobQueues: { mail: 'error' } });
    expect(health.readiness('work').work.status).toBe('down');
    expect(health.liveness('work').work.status).toBe('up');
    deaf = false;
    await clock.advance('5s');
    expect(health.isHealthy('work').work).toMatchObject(up);
  });

  it('is up while the queue is paused, and while there is nothing to do', async () => {
    const { health, mail } = await boot({ queue: { notConsumingAfter: '30s' } });
    await clock.advance('5m');
    expect(health.isHealthy('work').work).toMatchObject(up);
    await mail.pause();
    await mail.enqueue('a');
    await clock.advance('5m');
    expect(health.isHealthy('work').work).toMatchObject(up);
  });

  it('is down, liveness too, while a job does not end that was told to', async () => {
    const gate = signal();
    const { health, mail } = await boot({
      handle: () => gate.promise,
      handler: { timeout: '1s', abortGrace: '5s' },
    });
    await mail.enqueue('a');
    await clock.advance('6s');
    expect(health.liveness('work').work).toMatchObject({ status: 'down', jobQueues: { mail: 'stuck' } });
    expect(health.isHealthy('work').work.status).toBe('down');
    gate.resolve();
    await settle();
    expect(health.liveness('work').work).toMatchObject(up);
  });
});
