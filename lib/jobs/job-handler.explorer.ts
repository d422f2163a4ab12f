import { Inject, Injectable } from '@nestjs/common';
import { ContextIdFactory, ModuleRef } from '@nestjs/core';
import { type Declared, ProviderExplorer } from '../discovery/index.js';
import { JobHandlerWithoutHandleError } from '../errors/index.js';
import { type Pool, POOL } from '../pool/index.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import { resolveJobHandlerOptions } from './job-handler-options.js';
import { JOB_HANDLER_METADATA, type JobHandlerMetadata } from './job-handler.decorator.js';
import { jobRegistryOf } from './job-registry.js';
import type { Job, JobContext, RunnableJob } from './job.js';

/** What a request-scoped handler finds under Nest's `REQUEST`. */
export interface JobRequest<Payload = unknown> {
  readonly job: Job<Payload>;
  readonly ctx: JobContext;
}

/** Finds the classes that `@JobHandler()` marks, and registers what runs them. */
@Injectable()
export class JobHandlerExplorer {
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    private readonly explorer: ProviderExplorer,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** Throws where a handler is for no queue, is one too many, or is none. */
  explore(): void {
    const registry = jobRegistryOf(this.pool);
    for (const declared of this.explorer.declared<JobHandlerMetadata>(JOB_HANDLER_METADATA)) {
      const origin = `${declared.className} in ${declared.moduleName}`;
      const { queue: queueName, options } = declared.options;
      const queue = registry.queueOf(queueName, origin);
      const report = (what: string, error: unknown): void => this.pool.report(what, error);
      const { concurrency, middlewares, ...resolved } = resolveJobHandlerOptions(origin, options, report);
      const entry: JobHandlerEntry = {
        ...resolved,
        origin,
        schema: resolved.schema ?? queue.options.schema,
        middlewares: middlewares.map((listed) => this.pool.middleware(listed, origin)),
        handle: this.#handlerOf(declared, origin),
      };
      registry.addHandler(queueName, entry, concurrency);
    }
  }

  #handlerOf({ instance, scope, token }: Declared<unknown>, origin: string): JobHandlerEntry['handle'] {
    if (scope === 'static') {
      const handler = checked(instance, origin);
      return (job, ctx) => handler.handle(job, ctx);
    }
    // Of a class that is made later only the methods are known.
    checked(typeof token === 'function' ? (token.prototype as object) : instance, origin);
    return async (job, ctx) => {
      const request: JobRequest = { job, ctx };
      const contextId = ContextIdFactory.create();
      this.moduleRef.registerRequestByContextId(request, contextId);
      const handler = await this.moduleRef.resolve<object>(token as never, contextId, { strict: false });
      return checked(handler, origin).handle(job, ctx);
    };
  }
}

function checked(instance: object, origin: string): RunnableJob {
  if (typeof (instance as Partial<RunnableJob>).handle === 'function') return instance as RunnableJob;
  throw new JobHandlerWithoutHandleError(origin);
}
