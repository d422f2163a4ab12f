import { Body, Controller, Injectable, Post } from '@nestjs/common';
import { Logger, PinoLogger } from 'nestjs-pino';
import {
  getJobQueueToken,
  InjectJobQueue,
  InjectTaskQueue,
  type Job,
  type JobContext,
  JobHandler,
  type JobQueue,
  JobsModule,
  type RunnableJob,
  type TaskQueue,
  TaskQueueModule,
  WorkerModule,
} from 'nestjs-worker';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { bootHttp, platforms, poolOf, settle } from '../../support/nest.js';
import { PinoLines } from './pino-lines.js';

const lines = new PinoLines();
beforeEach(() => lines.clear());

interface Order {
  readonly fails?: boolean;
  readonly final?: boolean;
}

/** Something that a handler calls, and that knows nothing of jobs. */
@Injectable()
class Stamps {
  constructor(private readonly pino: PinoLogger) {}

  async stick(): Promise<void> {
    await settle();
    this.pino.info('in a service');
  }
}

@JobHandler('mail')
class Confirm implements RunnableJob<Order> {
  constructor(
    private readonly pino: PinoLogger,
    private readonly stamps: Stamps,
    @InjectJobQueue('mail') private readonly mail: JobQueue<Order>,
    @InjectTaskQueue() private readonly tasks: TaskQueue,
  ) {}

  async handle({ id, payload }: Job<Order>, ctx: JobContext): Promise<void> {
    if (id === 'second') return this.pino.info('in a job of the job');
    this.pino.info('in the job');
    ctx.logger.log('by ctx.logger');
    await this.stamps.stick();
    await this.mail.enqueue({}, { id: 'second' });
    this.tasks.submit(async () => this.pino.info('in a task of the job'), { name: 'chore' });
    if (payload.fails) throw new Error('no stamps');
  }
}

@Controller('orders')
class OrdersController {
  constructor(
    private readonly pino: PinoLogger,
    @InjectJobQueue('mail') private readonly mail: JobQueue<Order>,
  ) {}

  @Post()
  async order(@Body() order: Order): Promise<void> {
    this.pino.info('in the request');
    await this.mail.enqueue(order, { id: 'first' });
  }
}

const boot = async (platform: (typeof platforms)[number]) => {
  const { app, url } = await bootHttp(
    {
      imports: [
        lines.module(),
        WorkerModule,
        WorkerLoggingModule,
        JobsModule.forRoot(),
        JobsModule.registerQueue({ name: 'mail' }),
        TaskQueueModule.register(),
      ],
      controllers: [OrdersController],
      providers: [Confirm, Stamps],
    },
    platform,
  );
  app.useLogger(app.get(Logger));
  const line = async (message: string | RegExp) => {
    await vi.waitUntil(() => lines.matching(message).length > 0);
    return lines.matching(message)[0]!;
  };
  const order = async (body: Order): Promise<void> => {
    await fetch(`${url}/orders`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
  };
  return { app, order, line };
};

const jobKeys = ['queue', 'jobID', 'jobExecutionID'];

describe.each(platforms)('a job that a request enqueues (%s)', (platform) => {
  it('names itself once on each of its lines, and not the request, which is over', async () => {
    const { order, line } = await boot(platform);
    await order({});
    const inJob = await line('in the job');
    expect(inJob.fields).toMatchObject({ queue: 'mail', jobID: 'first', jobExecutionID: expect.any(String) });
    for (const message of ['in the job', 'by ctx.logger', 'in a service']) {
      const one = await line(message);
      expect(one.fields).toMatchObject({ jobID: 'first', jobExecutionID: inJob.fields.jobExecutionID });
      for (const key of jobKeys) expect([message, key, one.count(key)]).toEqual([message, key, 1]);
      expect(one.count('req')).toBe(0);
    }
    const inRequest = await line('in the request');
    for (const key of jobKeys) expect(inRequest.count(key)).toBe(0);
  });

  it('does not put its fields on the lines of a job, or of a task, that it sends off itself', async () => {
    const { order, line } = await boot(platform);
    await order({});
    const second = await line('in a job of the job');
    expect(second.fields).toMatchObject({ queue: 'mail', jobID: 'second' });
    for (const key of jobKeys) expect(second.count(key)).toBe(1);
    expect(second.fields.jobExecutionID).not.toBe((await line('in the job')).fields.jobExecutionID);
    const task = await line('in a task of the job');
    expect(task.fields).toMatchObject({ queue: 'default', task: 'chore' });
    for (const key of ['queue', 'task', 'taskExecutionID']) expect([key, task.count(key)]).toEqual([key, 1]);
    for (const key of ['jobID', 'jobExecutionID']) expect([key, task.count(key)]).toEqual([key, 0]);
  });

  it('has one line when it fails, with its names once, and none when it goes well', async () => {
    const { order, line } = await boot(platform);
    await order({ fails: true });
    const failure = await line(/^Job first in job consumer "mail" failed after/);
    expect(failure.fields).toMatchObject({
      level: 40,
      queue: 'mail',
      jobID: 'first',
      jobExecutionID: (await line('in the job')).fields.jobExecutionID,
      err: { type: 'Error', message: 'no stamps' },
    });
    for (const key of jobKeys) expect(failure.count(key)).toBe(1);
    await line('in a job of the job');
    await settle();
    expect(lines.matching(/^Job (first|second) /)).toHaveLength(1);
  });
});

it('a job that a worker enqueues has its own names and not those of the worker', async () => {
  const { app, line } = await boot('express');
  const mail = app.get<JobQueue<Order>>(getJobQueueToken('mail'));
  poolOf(app).register({ run: async () => mail.enqueue({}, { id: 'second' }) }, { name: 'relay' });
  const inJob = await line('in a job of the job');
  expect(inJob.fields).toMatchObject({ queue: 'mail', jobID: 'second' });
  for (const key of ['worker', 'workerExecutionID']) expect(inJob.count(key)).toBe(0);
});
