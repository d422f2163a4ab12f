import { createRequire } from 'node:module';
import { Inject, Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import * as own from 'nestjs-worker';
import { describe, expect, it, vi } from 'vitest';

const other = createRequire(import.meta.url)('nestjs-worker') as typeof own;

let runs = 0;
let started: () => void;
const hasStarted = new Promise<void>((resolve) => (started = resolve));

@other.Worker({ name: 'from-the-other-copy' })
class OtherWorker implements own.RunnableWorker {
  async run(ctx: own.WorkerContext): Promise<void> {
    runs++;
    started();
    await ctx.sleep('1h');
  }
}

@Injectable()
class Asking {
  constructor(@Inject(other.WorkerPoolService) readonly pool: own.WorkerPoolService) {}
}

describe('an app with the ESM and the CommonJS copy', () => {
  it('has two copies', () => {
    expect(other.WorkerModule).not.toBe(own.WorkerModule);
    expect(other.WorkerPoolService).not.toBe(own.WorkerPoolService);
  });

  it('runs a worker declared with the other copy, once, and hands out one pool under both classes', async () => {
    const testing = await Test.createTestingModule({
      imports: [own.WorkerModule.forRoot({})],
      providers: [OtherWorker, Asking],
    }).compile();
    const app = await testing.createNestApplication().init();
    await hasStarted;
    const pool = app.get(own.WorkerPoolService);

    expect(app.get(Asking).pool).toBe(pool);
    expect(pool.execution('from-the-other-copy').status).toBe('running');
    await app.close();
    expect(runs).toBe(1);
    expect(pool.execution('from-the-other-copy').status).toBe('cancelled');
  });

  it('recognises the errors of either copy with either', async () => {
    expect(other.isWorkError(await errorOf(own), 'WORKER_NOT_FOUND')).toBe(true);
    expect(own.isWorkError(await errorOf(other), 'WORKER_NOT_FOUND')).toBe(true);
  });
});

@Injectable()
class Submitting {
  constructor(
    @other.InjectTaskQueue('mail') readonly mail: own.TaskQueue,
    @Inject(other.TaskQueue) readonly chores: own.TaskQueue,
  ) {}
}

describe('task queues of an app with both copies', () => {
  it('are injected and run, whichever copy made them, and end with either one’s DiscardError', async () => {
    const testing = await Test.createTestingModule({
      imports: [
        own.TaskQueueModule.register({ name: 'mail' }),
        own.TaskQueueModule.register(),
        other.TaskQueueModule.register({ name: 'others' }),
        other.WorkerModule,
      ],
      providers: [Submitting],
    }).compile();
    const app = await testing.createNestApplication().init();
    const { mail, chores } = app.get(Submitting);
    const others = app.get<own.TaskQueue>(own.getTaskQueueToken('others'));

    expect(chores).toBe(app.get(own.TaskQueue));
    expect(await mail.enqueue(() => others.enqueue(async (ctx) => `${ctx.name} ran`).done).done).toBe(
      'others ran',
    );
    const discarding = async (): Promise<never> => {
      throw new other.DiscardError('no such address');
    };
    const task = mail.enqueue(discarding, { maxAttempts: 5 });
    await expect(task.done).rejects.toThrow('no such address');
    expect(task.attempts).toBe(1);

    const kinds = app
      .get(own.WorkerPoolService)
      .snapshot()
      .children.map(({ kind, name }) => `${kind} ${name}`);
    expect(kinds.toSorted()).toEqual(['task-queue default', 'task-queue mail', 'task-queue others']);
    const last = others.enqueue(async () => 'drained');
    await app.close();
    expect(await last.done).toBe('drained');
    expect(() => others.submit(async () => {})).toThrow('has shut down');
  });
});

@other.JobHandler('emails', { maxAttempts: 5 })
class OtherHandler implements own.RunnableJob<string> {
  constructor(@own.InjectJobQueue('audit') readonly audit: own.JobQueue<string>) {}

  async handle(job: own.Job<string>): Promise<void> {
    await this.audit.enqueue(job.payload);
    throw new other.DiscardJob('enough');
  }
}

describe('job queues of an app with both copies', () => {
  it('share one backend, and handlers declared with the other copy', async () => {
    const testing = await Test.createTestingModule({
      imports: [
        own.JobsModule.forRoot(),
        own.JobsModule.registerQueue({ name: 'emails' }),
        other.JobsModule.registerQueue({ name: 'audit' }),
      ],
      providers: [OtherHandler],
    }).compile();
    const app = await testing.createNestApplication().init();
    const emails = app.get<own.JobQueue<string>>(own.getJobQueueToken('emails'));
    const audit = app.get<own.JobQueue<string>>(other.getJobQueueToken('audit'));

    const { id } = await emails.enqueue('welcome');
    await vi.waitUntil(async () => (await emails.get(id))?.state === 'dead');
    expect(await emails.get(id)).toMatchObject({ cause: 'discarded', failures: 1 });
    expect((await audit.counts()).ready).toBe(1);
    await app.close();
  });
});

async function errorOf(copy: typeof own): Promise<unknown> {
  const testing = await Test.createTestingModule({ imports: [copy.WorkerModule.forRoot({})] }).compile();
  const app = await testing.createNestApplication().init();
  try {
    return app.get(copy.WorkerPoolService).execution('nobody');
  } catch (error) {
    return error;
  } finally {
    await app.close();
  }
}
