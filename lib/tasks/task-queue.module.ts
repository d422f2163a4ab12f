import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type ModuleMetadata,
  type OnModuleInit,
  Optional,
} from '@nestjs/common';
import { type Pool, POOL, PoolModule, type PoolOptions, shareClass } from '../pool/index.js';
import { TaskQueue } from './task-queue.js';
import { defaultQueueName, type TaskQueueModuleOptions } from './task-queue-options.js';
import { getTaskQueueToken, OWN_TASK_QUEUE, TASK_QUEUE } from './task-queue.tokens.js';

/** What Nest is to know of a queue beside its own options. */
export interface TaskQueueModuleExtras {
  /** Whether every module of the app can inject the queue without importing this one. Default `false`. */
  readonly global?: boolean;
}

type OptionsWithoutName = Omit<TaskQueueModuleOptions, 'name'>;

/** Options of `registerAsync()`: the name is needed at once, the rest is made by `useFactory`. */
export interface TaskQueueAsyncOptions extends TaskQueueModuleExtras, Pick<ModuleMetadata, 'imports'> {
  /** Name of the queue. Default `'default'`. */
  readonly name?: string;
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...dependencies: never[]) => OptionsWithoutName | Promise<OptionsWithoutName>;
}

/**
 * Makes task queues for injection with `@InjectTaskQueue(name)`; the one without a name can be injected as
 * `TaskQueue` too. A queue runs once the app has bootstrapped, and drains when the app shuts down, after everything
 * that feeds it. Register each name once, and export the module where others need its queue.
 */
@Module({ imports: [PoolModule] })
export class TaskQueueModule implements OnModuleInit {
  /** @internal Nest makes it. */
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @Optional() @Inject(OWN_TASK_QUEUE) private readonly queue?: TaskQueue,
  ) {}

  /** One queue. What cannot be meant is an `InvalidOptionError` at boot, and so is a second queue of that name. */
  static register(options: TaskQueueModuleOptions & TaskQueueModuleExtras = {}): DynamicModule {
    const { name = defaultQueueName, global = false, ...rest } = options;
    return queueModule({ name, global, useFactory: () => rest });
  }

  /** One queue whose options are known at run time. */
  static registerAsync(options: TaskQueueAsyncOptions): DynamicModule {
    return queueModule(options);
  }

  /**
   * Options of the pool that all background work of the app shares, for an app that has no
   * `WorkerModule.forRoot()`. A second set that differs is a boot error.
   */
  static forRoot(options: PoolOptions): DynamicModule {
    const configure = (pool: Pool): void => pool.configure(options, 'TaskQueueModule.forRoot()');
    return {
      module: TaskQueueModule,
      providers: [{ provide: Symbol('pool options'), inject: [POOL], useFactory: configure }],
    };
  }

  /** @internal By now the options of the pool are known. */
  onModuleInit(): void {
    if (this.queue !== undefined) this.pool.add(this.queue.child);
  }
}

function queueModule(options: TaskQueueAsyncOptions): DynamicModule {
  const { name = defaultQueueName, global = false, imports = [], inject = [], useFactory } = options;
  const token = getTaskQueueToken(name);
  const make = async (pool: Pool, ...dependencies: never[]): Promise<TaskQueue> =>
    new TaskQueue({ ...(await useFactory(...dependencies)), name }, pool, `TaskQueueModule.register()`);
  const lists = {
    providers: [
      { provide: OWN_TASK_QUEUE, inject: [POOL, ...inject], useFactory: make },
      { provide: token, useExisting: OWN_TASK_QUEUE },
    ] as never[],
    exports: [token] as never[],
  };
  if (name === defaultQueueName) {
    lists.providers.push({ provide: TaskQueue, useExisting: OWN_TASK_QUEUE } as never);
    lists.exports.push(TaskQueue as never);
    shareClass(TASK_QUEUE, TaskQueue, lists);
  }
  return { module: TaskQueueModule, global, imports, ...lists };
}
