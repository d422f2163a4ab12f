// One app for each store, as if each were a process of its own. It loads all it needs, and boots when told by SIGUSR2.
import { Logger, Module, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type Job, JobHandler, JobsModule } from 'nestjs-worker';
import { BullMqJobBackend, type BullMqJobBackendOptions } from 'nestjs-worker/bullmq';

interface Options {
  readonly queue: string;
  readonly concurrency: number;
  readonly stores: Readonly<Record<string, BullMqJobBackendOptions>>;
}

const { queue, concurrency, stores } = JSON.parse(process.argv[2]!) as Options;

/** A payload is for how long it runs; 0 is for ever, and whatever it is told. */
function handlerOf(kind: string): Type {
  class Handler {
    async handle({ id, payload }: Job<number>): Promise<void> {
      console.log(`${kind} began ${id}`);
      await new Promise((resolve) => {
        if (payload > 0) setTimeout(resolve, payload);
      });
      console.log(`${kind} ended ${id}`);
    }
  }
  JobHandler(queue)(Handler);
  return Handler;
}

async function boot(kind: string, options: BullMqJobBackendOptions): Promise<INestApplicationContext> {
  class App {}
  Module({
    imports: [
      JobsModule.forRoot({ backend: new BullMqJobBackend(options) }),
      JobsModule.registerQueue({ name: queue, concurrency, lease: '1s' }),
    ],
    providers: [handlerOf(kind)],
  })(App);
  return NestFactory.createApplicationContext(App, { logger: false });
}

Logger.overrideLogger(false);
// Until it is told to begin, nothing else keeps it.
const waiting = setInterval(() => {}, 60_000);
process.once('SIGUSR2', () => {
  void Promise.all(Object.entries(stores).map(([kind, options]) => boot(kind, options))).then((apps) => {
    clearInterval(waiting);
    process.once('SIGTERM', () => {
      void Promise.all(apps.map((app) => app.close())).then(() => console.log('closed'));
    });
    console.log('booted');
  });
});
console.log('loaded');
