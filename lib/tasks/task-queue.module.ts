import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type ModuleMetadata,
  Optional,
} from '@nestjs/common';
import { OptionReader } from '../execution/index.js';
import { type Pool, POOL, PoolModule, type PoolOptions, Quiescence, shareClass } from '../pool/index.js';
import { TaskQueue } from './task-queue.js';
import {
  defaultQueueName,
  poolOptionNames,
  queueOptionNames,
  type TaskQueueModuleOptions,
} from './task-queue-options.js';
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

/** The default queue under its class, in every copy of this package; a module of that queue has these, too. */
const byClass = {
  providers: [{ provide: TaskQueue, useExisting: getTaskQueueToken() }] as never[],
  exports: [TaskQueue] as never[],
};
shareClass(TASK_QUEUE, TaskQueue, byClass);

/**
 * Makes task queues for injection with `@InjectTaskQueue(name)`; the one without a name can be injected as
 * `TaskQueue` too. A queue runs once the app has bootstrapped, and drains when the app shuts down, after everything
 * that feeds it. Register each name once, and export the module where others need its queue.
 */
@Module({ imports: [PoolModule] })
export class TaskQueueModule {
  /** @internal Nest makes it. */
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @Optional() @Inject(OWN_TASK_QUEUE) private readonly queue?: TaskQueue,
  ) {}

  /** One queue. What cannot be meant is an `InvalidOptionError` at boot, and so is a second queue of that name. */
  static register(options: TaskQueueModuleOptions & TaskQueueModuleExtras = {}): DynamicModule {
    const { name = defaultQueueName, global = false, ...rest } = options ?? {};
    return queueModule({ name, global, useFactory: () => rest }, 'TaskQueueModule.register()');
  }

  /** One queue whose options are known at run time. */
  static registerAsync(options: TaskQueueAsyncOptions): DynamicModule {
    return queueModule(options, 'TaskQueueModule.registerAsync()');
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
    // One that closes meanwhile takes in nothing any more.
    if (this.queue !== undefined && !this.pool.draining) this.pool.add(this.queue.child);
  }

  /** @internal The pool knows nothing of a queue whose app closes before it was initialised. */
  async onModuleDestroy(): Promise<void> {
    if (this.queue === undefined) return;
    const { child } = this.queue;
    if (this.pool.child(child.kind, child.name) === child) return;
    const now = this.pool.clock.monotonic();
    const feedersEnded = Promise.resolve();
    const quiescence = new Quiescence(feedersEnded);
    await child.stop({ reason: 'shutdown', abortAt: now, deadline: now, feedersEnded, quiescence });
  }
}

function queueModule(options: TaskQueueAsyncOptions, origin: string): DynamicModule {
  const { name = defaultQueueName, global = false, imports = [], inject = [], useFactory } = options;
  const token = getTaskQueueToken(name);
  const make = async (pool: Pool, ...dependencies: never[]): Promise<TaskQueue> => {
    const given = await useFactory(...dependencies);
    checkOwnOptions(name, given);
    return new TaskQueue({ ...given, name }, pool, origin);
  };
  const shared = name === defaultQueueName ? byClass : { providers: [], exports: [] };
  return {
    module: TaskQueueModule,
    global,
    imports,
    // Read when Nest reads them: a copy of this package that is loaded later adds its class.
    get providers() {
      return [
        { provide: OWN_TASK_QUEUE, inject: [POOL, ...inject], useFactory: make },
        { provide: token, useExisting: OWN_TASK_QUEUE },
        ...shared.providers,
      ];
    },
    get exports() {
      return [token, ...shared.exports];
    },
  };
}

/** What a queue made by hand has for itself, one of an app has from the app's pool. */
function checkOwnOptions(name: string, options: OptionsWithoutName): void {
  const reader = new OptionReader(`task queue "${name}"`, options, [...queueOptionNames, ...poolOptionNames]);
  const ofPool = poolOptionNames.find((option) => reader.get(option) !== undefined);
  if (ofPool !== undefined) {
    reader.refuse(
      ofPool,
      'nothing, since it belongs to the pool of the app',
      'Give it to TaskQueueModule.forRoot() or WorkerModule.forRoot().',
    );
  }
  if (reader.get('name') !== undefined) {
    reader.refuse(
      'name',
      'nothing in what useFactory answers',
      'Give it beside useFactory: it names the token to inject the queue by.',
    );
  }
}
