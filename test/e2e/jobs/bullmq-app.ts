import type { INestApplicationContext, Type } from '@nestjs/common';
import { getJobQueueToken, type JobQueue, type JobQueueOptions, JobsModule } from 'nestjs-worker';
import type { BullMqJobBackendOptions } from 'nestjs-worker/bullmq';
import { newQueueName, type SomeStore } from '../../integrations/bullmq/some-stores.js';
import { jobHandler } from '../../support/job-handlers.js';
import { bootContext, signal } from '../../support/nest.js';

type Handle = Parameters<typeof jobHandler>[1];
type HandlerOptions = NonNullable<Parameters<typeof jobHandler>[2]>;

/** An app of ours with one queue, and handlers of it where there are any. */
export interface BullApp {
  readonly name: string;
  readonly app: INestApplicationContext;
  readonly jobs: JobQueue;
}

export interface BullAppOptions extends Partial<JobQueueOptions> {
  readonly backend?: BullMqJobBackendOptions;
  readonly handlers?: readonly [handle: Handle, options?: HandlerOptions][];
}

export async function bootBullApp(store: SomeStore, options: BullAppOptions = {}): Promise<BullApp> {
  const { backend, handlers = [], name = newQueueName(), ...queue } = options;
  const providers = handlers.map(([handle, handlerOptions]): Type => {
    return jobHandler(name, handle, handlerOptions);
  });
  const imports = [
    JobsModule.forRoot({ backend: store.backend(backend) }),
    JobsModule.registerQueue({ name, ...queue }),
  ];
  const app = await bootContext({ imports, providers });
  return { name, app, jobs: app.get(getJobQueueToken(name)) };
}

/** A handler that says when it runs, and goes on until it is told to end, or the app closes. */
export function heldHandler() {
  const began = signal<string>();
  const end = signal<unknown>();
  const aborted = signal<unknown>();
  const handle: Handle = async (job, ctx) => {
    ctx.signal.addEventListener('abort', () => aborted.resolve(ctx.signal.reason));
    ctx.shutdown.addEventListener('abort', () => end.resolve(undefined));
    began.resolve(job.id);
    return end.promise;
  };
  return {
    handle,
    began: began.promise,
    aborted: aborted.promise,
    end: (value?: unknown) => end.resolve(value),
  };
}
