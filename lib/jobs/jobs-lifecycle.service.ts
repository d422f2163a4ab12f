import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { type Pool, POOL } from '../pool/index.js';
import { JobHandlerExplorer } from './job-handler.explorer.js';
import { JOB_HANDLER_METADATA } from './job-handler.decorator.js';
import { jobRegistryOf } from './job-registry.js';

/** Ties jobs to the life of the Nest app. */
@Injectable()
export class JobsLifecycleService implements OnModuleInit, OnApplicationShutdown {
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    private readonly explorer: JobHandlerExplorer,
  ) {}

  /** Boot does not wait for the backend. */
  onModuleInit(): void {
    // Where two copies of the package are in one app, one of them finds the handlers.
    if (!this.pool.claim(JOB_HANDLER_METADATA)) return;
    this.explorer.explore();
    jobRegistryOf(this.pool).begin();
  }

  /** The last hook of all: until now whatever ends may still enqueue. */
  async onApplicationShutdown(): Promise<void> {
    await jobRegistryOf(this.pool).close();
  }
}
