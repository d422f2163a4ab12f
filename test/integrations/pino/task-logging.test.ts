import { Body, Controller, Post } from '@nestjs/common';
import { Logger, PinoLogger } from 'nestjs-pino';
import {
  InjectTaskQueue,
  type TaskContext,
  type TaskQueue,
  TaskQueueModule,
  WorkerModule,
} from 'nestjs-worker';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { bootHttp, platforms, poolOf, settle } from '../../support/nest.js';
import { PinoLines } from './pino-lines.js';

const lines = new PinoLines();
beforeEach(() => lines.clear());

@Controller('orders')
class OrdersController {
  constructor(
    private readonly pino: PinoLogger,
    @InjectTaskQueue('mail') readonly mail: TaskQueue,
  ) {}

  @Post()
  order(@Body() { fails }: { fails?: boolean }): void {
    const confirm = async (ctx: TaskContext): Promise<void> => {
      await settle();
      this.pino.info('in the task');
      ctx.logger.log('by ctx.logger');
      this.mail.submit(async () => this.pino.info('in a task of the task'), { name: 'second' });
      if (fails) throw new Error('no stamps');
    };
    this.pino.info('in the request');
    this.mail.submit(confirm);
  }
}

const boot = async (platform: (typeof platforms)[number]) => {
  const { app, url } = await bootHttp(
    {
      imports: [
        lines.module(),
        WorkerModule,
        WorkerLoggingModule,
        TaskQueueModule.register({ name: 'mail', concurrency: 1 }),
      ],
      controllers: [OrdersController],
    },
    platform,
  );
  app.useLogger(app.get(Logger));
  const mail = app.get(OrdersController).mail;
  const order = async (body: object): Promise<void> => {
    await fetch(`${url}/orders`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    await mail.onIdle();
  };
  return { app, mail, order };
};

const taskKeys = ['queue', 'task', 'taskExecutionID'];

describe.each(platforms)('a task that a request submits (%s)', (platform) => {
  it('names itself once on each of its lines, beside what the request has', async () => {
    const { order } = await boot(platform);
    await order({});
    const [inTask] = lines.matching('in the task');
    expect(inTask?.fields).toMatchObject({ queue: 'mail', task: 'confirm' });
    const [inRequest] = lines.matching('in the request');
    // On Fastify nestjs-pino knows the request no more once its body was read.
    if (platform === 'express') expect(inRequest?.fields.req).toMatchObject({ method: 'POST' });
    expect(inTask?.fields.req).toEqual(inRequest?.fields.req);
    const [byContext] = lines.matching('by ctx.logger');
    expect(byContext?.fields.taskExecutionID).toBe(inTask?.fields.taskExecutionID);
    for (const line of [inTask, byContext]) for (const key of taskKeys) expect(line?.count(key)).toBe(1);
  });

  it('does not put its fields on the lines of a task that it submits itself', async () => {
    const { order } = await boot(platform);
    await order({});
    const [inner] = lines.matching('in a task of the task');
    expect(inner?.fields).toMatchObject({ queue: 'mail', task: 'second' });
    for (const key of taskKeys) expect(inner?.count(key)).toBe(1);
    expect(inner?.fields.taskExecutionID).not.toBe(lines.matching('in the task')[0]?.fields.taskExecutionID);
  });

  it('has one line when it fails, with its names once, and none when it goes well', async () => {
    const { order } = await boot(platform);
    await order({ fails: true });
    const failures = lines.matching(/^Task "confirm" in task queue "mail" failed after/);
    expect(failures).toHaveLength(1);
    expect(failures[0]?.fields).toMatchObject({ level: 50, queue: 'mail', err: { message: 'no stamps' } });
    for (const key of taskKeys) expect(failures[0]?.count(key)).toBe(1);
    expect(lines.matching(/Task "second"/)).toEqual([]);
  });
});

it('a task that a worker submits has its own names and not those of the worker', async () => {
  const { app, mail } = await boot('express');
  const pino = await app.resolve(PinoLogger);
  poolOf(app).register(
    { run: async () => mail.submit(async () => pino.info('from the worker'), { name: 'chore' }) },
    { name: 'relay' },
  );
  await settle();
  await mail.onIdle();
  const [line] = lines.matching('from the worker');
  expect(line?.fields).toMatchObject({ queue: 'mail', task: 'chore' });
  expect(line?.count('worker')).toBe(0);
});
