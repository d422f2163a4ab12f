import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ProviderExplorer } from '../discovery/index.js';
import { WorkerNotStaticError } from '../errors/index.js';
import { type Pool, POOL } from '../pool/index.js';
import type { RunnableWorker } from './runnable-worker.js';
import type { WorkerOptions } from './worker-options.js';
import { WorkerPoolService } from './worker-pool.service.js';
import { WORKER_METADATA } from './worker.decorator.js';

/** Finds the classes that `@Worker()` marks and registers their instances. */
@Injectable()
export class WorkerExplorer implements OnModuleInit {
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    private readonly workers: WorkerPoolService,
    private readonly explorer: ProviderExplorer,
  ) {}

  onModuleInit(): void {
    if (!this.pool.claim(WORKER_METADATA)) return;
    for (const { instance, options, className, moduleName, scope } of this.explorer.declared<WorkerOptions>(
      WORKER_METADATA,
    )) {
      const origin = `${className} in ${moduleName}`;
      if (scope !== 'static') throw new WorkerNotStaticError(origin, scope);
      this.workers.register(instance as RunnableWorker, { name: className, ...options }, origin);
    }
    this.#warnOfUnknownNames();
  }

  // No error: a worker of that name may still be registered by hand.
  #warnOfUnknownNames(): void {
    const known = new Set(this.workers.registrations().map(({ name }) => name));
    const unknown = Object.keys(this.pool.options.workers).filter((name) => !known.has(name));
    if (unknown.length === 0) return;
    this.pool.say(
      'warn',
      `WorkerModule has options for ${unknown.join(', ')}, but no @Worker() has such a name`,
    );
  }
}
