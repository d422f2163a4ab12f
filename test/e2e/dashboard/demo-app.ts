import type { INestApplication } from '@nestjs/common';
import {
  getJobQueueToken,
  type Job,
  type JobContext,
  JobHandler,
  type JobQueue,
  JobsModule,
  TaskQueueModule,
  Worker,
  type WorkerContext,
  WorkerModule,
  type WorkerPoolOptions,
} from 'nestjs-worker';
import { WorkerHttpModule, type WorkerHttpModuleOptions } from 'nestjs-worker/http';
import { vi } from 'vitest';
import { guarded } from '../../support/http-app.js';
import type { RootModule } from '../../support/nest.js';

/** What would run if it were not shown as text. */
export const markup = '<script>window.hacked = true</script><img src="x" onerror="window.hacked = true">';

/** Runs until it is told to fail. */
@Worker({ name: 'price-feed', maxAttempts: 5, backoff: { initial: '10m', factor: 1, max: '10m', jitter: 0 } })
export class PriceFeed {
  fail: (error: Error) => void = () => {};

  run(ctx: WorkerContext): Promise<void> {
    return new Promise((resolve, reject) => {
      this.fail = reject;
      ctx.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

@Worker({ name: 'search-indexer' })
class SearchIndexer {
  run(): Promise<void> {
    const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:9200'), { code: 'ECONNREFUSED' });
    return Promise.reject(new Error('The index does not answer', { cause }));
  }
}

@Worker({ name: 'cache-warmer' })
class CacheWarmer {
  async run(): Promise<void> {}
}

@Worker({ name: 'nightly-report', enabled: false })
class NightlyReport {
  async run(): Promise<void> {}
}

@Worker({ name: 'geo-refresh', deferredStart: '6h' })
class GeoRefresh {
  async run(): Promise<void> {}
}

@Worker({ name: 'outbox-relay', maxAttempts: Infinity })
class OutboxRelay {
  async run(ctx: WorkerContext): Promise<void> {
    await ctx.sleep(Infinity);
  }
}

@Worker({ name: 'session-sweeper', maxAttempts: Infinity, onExhausted: 'ignore' })
class SessionSweeper extends OutboxRelay {}

export interface Mail {
  readonly to: string;
  readonly subject?: string;
  readonly fail?: string;
  readonly takesMs?: number;
}

@JobHandler('mails', { maxAttempts: 1, keepCompleted: '1h', concurrency: 8 })
export class Mails {
  /** Whether mails go out in spite of everything. */
  mended = false;

  async handle({ payload }: Job<Mail>, ctx: JobContext): Promise<object> {
    await ctx.sleep(payload.takesMs ?? 20);
    if (payload.fail !== undefined && !this.mended) throw new Error(payload.fail);
    return { sent: true };
  }
}

const workers = [
  PriceFeed,
  SearchIndexer,
  CacheWarmer,
  NightlyReport,
  GeoRefresh,
  OutboxRelay,
  SessionSweeper,
];

/** An app with a bit of everything, at /work. */
export function demoApp(
  http: Partial<WorkerHttpModuleOptions> = {},
  pool: WorkerPoolOptions = {},
  moreQueues: readonly string[] = [],
): RootModule {
  const queues = ['mails', 'invoices', ...moreQueues].map((name) => ({ name, format: 'json' as const }));
  return {
    imports: [
      WorkerModule.forRoot({ shutdownTimeout: '2s', abortMargin: '1s', ...pool }),
      TaskQueueModule.register({ name: 'thumbnails', concurrency: 4 }),
      JobsModule.forRoot(),
      JobsModule.registerQueue(...queues),
      WorkerHttpModule.register({ ...guarded, title: 'Shop', ...http }),
    ],
    providers: [...workers, Mails],
  };
}

export function mailsOf(app: INestApplication): JobQueue<Mail> {
  return app.get(getJobQueueToken('mails'), { strict: false });
}

/** Waits until there is a dead job. */
export async function deadMail(
  app: INestApplication,
  mail: Partial<Mail> = {},
  id = 'the-mail',
): Promise<void> {
  const queue = mailsOf(app);
  await queue.enqueue({ to: 'ada@example.com', fail: 'The mailbox is full', ...mail }, { id });
  await vi.waitUntil(async () => (await queue.get(id))?.state === 'dead', { timeout: 10_000 });
}
