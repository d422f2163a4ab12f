import { ConfigurableModuleBuilder, Global, Inject, Module, Optional } from '@nestjs/common';
import { type Pool, POOL, PoolModule, shareClass } from '../pool/index.js';
import type { WorkerPoolOptions } from './worker-options.js';
import { WorkerPoolService } from './worker-pool.service.js';
import { WorkerExplorer } from './worker.explorer.js';
import { WORKER_MODULE_OPTIONS, WORKER_POOL_SERVICE } from './worker.tokens.js';

const lists = {
  providers: [WorkerPoolService, WorkerExplorer] as never[],
  exports: [WorkerPoolService] as never[],
};
shareClass(WORKER_POOL_SERVICE, WorkerPoolService, lists);

/** What there is once in an app, however often `WorkerModule` is imported. */
@Global()
@Module({ imports: [PoolModule], ...lists })
export class WorkerCoreModule {}

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<WorkerPoolOptions>({
  optionsInjectionToken: WORKER_MODULE_OPTIONS,
})
  .setClassMethodName('forRoot')
  .build();

/**
 * Runs the app's `@Worker()` classes. Import it plain for the defaults, or once with `forRoot(options)` or
 * `forRootAsync({ useFactory | useClass | useExisting })`. A second set of options that differs is a boot error.
 * `WorkerPoolService` can be injected everywhere.
 */
@Module({ imports: [WorkerCoreModule] })
export class WorkerModule extends ConfigurableModuleClass {
  /** @internal Nest makes it. */
  constructor(
    @Inject(POOL) pool: Pool,
    @Optional() @Inject(WORKER_MODULE_OPTIONS) options?: WorkerPoolOptions,
  ) {
    super();
    if (options !== undefined) pool.configure(options, 'WorkerModule.forRoot()');
  }
}
