// The app that is asked, in a process of its own. Told 'measure', it throws all jobs away, and says how much memory it holds.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  getJobQueueToken,
  JobHandler,
  JobsModule,
  TaskQueueModule,
  Worker,
  WorkerModule,
} from 'nestjs-worker';
import { WorkerHttpModule } from 'nestjs-worker/http';

const decorated = (decorator, type) => {
  decorator(type);
  return type;
};
const steady = class Steady {
  async run(ctx) {
    await ctx.sleep(Infinity);
  }
};
const named = class Named {
  async run(ctx) {
    await ctx.sleep(Infinity);
  }
};
const broken = class Broken {
  run() {
    return Promise.reject(new Error('The tape has run out'));
  }
};
const off = class Off {
  async run() {}
};
const mails = class Mails {
  async handle() {
    return { sent: true };
  }
};
const password = (word) => ({
  canActivate: (context) => context.switchToHttp().getRequest().headers.authorization === `Bearer ${word}`,
});

const queues = ['mails', 'idle', 'a b/c%'];
const logger = {
  debug() {},
  log() {},
  warn() {},
  error: (message, fields) => process.stderr.write(`${message} ${String(fields?.err?.stack ?? '')}\n`),
  child: () => logger,
};
const app = decorated(
  Module({
    imports: [
      WorkerModule.forRoot({ logger }),
      JobsModule.forRoot(),
      JobsModule.registerQueue(...queues.map((name) => ({ name, format: 'json' }))),
      TaskQueueModule.register({ name: 'thumbs' }),
      TaskQueueModule.register({ name: 'a b/c%' }),
      WorkerHttpModule.register({
        guards: [password('operator')],
        readOnlyGuards: [password('viewer')],
        bodyLimit: 65_536,
      }),
    ],
    providers: [
      decorated(Worker({ name: 'steady' }), steady),
      decorated(Worker({ name: 'a b/c%' }), named),
      decorated(Worker({ name: 'broken' }), broken),
      decorated(Worker({ name: 'off', enabled: false }), off),
      decorated(JobHandler('mails', { maxAttempts: 1 }), mails),
    ],
  }),
  class AppModule {},
);

const adapter = process.argv[2] === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
const nest = await NestFactory.create(app, adapter, { logger: false, forceCloseConnections: true });
await nest.listen(0, '127.0.0.1');
process.send({ port: nest.getHttpServer().address().port });

async function empty(queue) {
  await queue.resume();
  for (const state of ['scheduled', 'ready', 'active', 'completed', 'cancelled', 'dead']) {
    for (;;) {
      const { jobs } = await queue.list({ state, limit: 1_000 });
      if (jobs.length === 0) break;
      await queue.delete(jobs.map(({ id }) => id));
    }
  }
}

async function obey(message) {
  if (message === 'measure') {
    for (const name of queues) await empty(nest.get(getJobQueueToken(name), { strict: false }));
    globalThis.gc();
    globalThis.gc();
    process.send({ heap: process.memoryUsage().heapUsed });
  } else {
    await nest.close();
    process.disconnect();
  }
}

process.on('message', (message) => void obey(message));
