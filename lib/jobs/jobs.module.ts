import {
  type DynamicModule,
  type FactoryProvider,
  Global,
  Module,
  type ModuleMetadata,
  type Provider,
} from '@nestjs/common';
import type { Clock } from '../clock/index.js';
import { DuplicateNameError, InvalidOptionError, JobBackendMissingError } from '../errors/index.js';
import { OptionReader } from '../execution/index.js';
import { type Pool, POOL, PoolModule, type PoolOptions } from '../pool/index.js';
import type { JobBackend } from './job-backend.js';
import type { JobConnection } from './job-connection.js';
import { JobHandlerExplorer } from './job-handler.explorer.js';
import { type JobQueueOptions, jobQueueOptionNames, resolveJobQueueOptions } from './job-queue-options.js';
import { JobQueue } from './job-queue.js';
import { jobRegistryOf } from './job-registry.js';
import { JobsLifecycleService } from './jobs-lifecycle.service.js';
import { getJobQueueToken, JOB_CONNECTION, JOB_REGISTRY, ownJobQueueToken } from './jobs.tokens.js';
import { MemoryJobBackend } from './memory-job-backend.js';

/** Where jobs are kept, and options of the pool that all background work of the app shares. */
export interface JobsModuleOptions extends PoolOptions {
  /** Default: `new MemoryJobBackend()`, which loses them with the process. */
  readonly backend?: JobBackend | undefined;
}

/** Options of `forRootAsync()`. */
export interface JobsModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...dependencies: never[]) => JobsModuleOptions | Promise<JobsModuleOptions>;
}

type OptionsWithoutName = Omit<JobQueueOptions, 'name'>;

/** Options of `registerQueueAsync()`: the name is needed at once, the rest is made by `useFactory`. */
export interface JobQueueAsyncOptions extends Pick<ModuleMetadata, 'imports'>, Pick<JobQueueOptions, 'name'> {
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...dependencies: never[]) => OptionsWithoutName | Promise<OptionsWithoutName>;
}

/** What there is once in an app, however often `JobsModule` is imported. */
@Global()
@Module({
  imports: [PoolModule],
  providers: [
    { provide: JOB_REGISTRY, inject: [POOL], useFactory: jobRegistryOf },
    JobHandlerExplorer,
    JobsLifecycleService,
  ],
  exports: [JOB_REGISTRY],
})
export class JobsCoreModule {}

/**
 * Durable queues: `forRoot({ backend })` once, in the root module, says where jobs are kept; `registerQueue()`, wherever
 * a queue belongs, makes it for injection with `@InjectJobQueue(name)`. Classes that `@JobHandler()` marks run its jobs
 * once the app has bootstrapped; in an app that has none, a queue can be filled and looked at.
 */
@Module({ imports: [JobsCoreModule] })
export class JobsModule {
  /** For the whole app. What cannot be meant is an `InvalidOptionError` at boot, and so is a second backend. */
  static forRoot(options: JobsModuleOptions = {}): DynamicModule {
    return rootModule({ useFactory: () => options ?? {} }, 'JobsModule.forRoot()');
  }

  /** The same with options that are known at run time. */
  static forRootAsync(options: JobsModuleAsyncOptions): DynamicModule {
    return rootModule(options, 'JobsModule.forRootAsync()');
  }

  /**
   * One queue or several. Register each name once, and export the module where others need its queue. What cannot be
   * meant is an `InvalidOptionError` at boot, a second queue of that name a `DuplicateNameError`, and without `forRoot()`
   * it is a `JobBackendMissingError`.
   */
  static registerQueue(...queues: readonly JobQueueOptions[]): DynamicModule {
    const origin = 'JobsModule.registerQueue()';
    const made = queues.map((options) => {
      const { name, ...rest } = options ?? {};
      return { name, useFactory: () => rest };
    });
    return queueModule(made, [], origin);
  }

  /** One queue whose options are known at run time. */
  static registerQueueAsync(options: JobQueueAsyncOptions): DynamicModule {
    return queueModule([options], options.imports ?? [], 'JobsModule.registerQueueAsync()');
  }
}

function rootModule(
  { imports = [], inject = [], useFactory }: JobsModuleAsyncOptions,
  origin: string,
): DynamicModule {
  const connect = async (pool: Pool, ...dependencies: never[]): Promise<JobConnection> => {
    const { backend, ...poolOptions } = (await useFactory(...dependencies)) ?? {};
    if (backend !== undefined) checkBackend(backend, origin);
    if (Object.keys(poolOptions).length > 0) pool.configure(poolOptions, origin);
    const makeDefault = (): JobBackend => new MemoryJobBackend({ clock: clockOf(pool) });
    return jobRegistryOf(pool).connect(backend, makeDefault, origin);
  };
  return {
    module: JobsModule,
    global: true,
    imports,
    providers: [{ provide: JOB_CONNECTION, inject: [POOL, ...inject], useFactory: connect }],
    exports: [JOB_CONNECTION],
  };
}

function queueModule(
  queues: readonly Omit<JobQueueAsyncOptions, 'imports'>[],
  imports: NonNullable<ModuleMetadata['imports']>,
  origin: string,
): DynamicModule {
  const names = queues.map(({ name }) => name);
  const providers = queues.flatMap(({ name, inject = [], useFactory }, index): Provider[] => {
    const make = async (
      pool: Pool,
      connection: JobConnection | undefined,
      ...dependencies: never[]
    ): Promise<JobQueue> => {
      if (connection === undefined) throw new JobBackendMissingError(name);
      // To Nest two of one call are one: the last, which is this.
      if (names.indexOf(name) !== index) throw new DuplicateNameError('job-queue', name, origin, origin);
      const options = resolveJobQueueOptions(
        withName(name, await useFactory(...dependencies)),
        connection.capabilities,
      );
      const registry = jobRegistryOf(pool);
      const { headerProviders, aroundEnqueueing } = registry;
      const queue = new JobQueue({ connection, options, headerProviders, aroundEnqueueing });
      registry.addQueue(queue, origin);
      return queue;
    };
    const token = ownJobQueueToken(name);
    return [
      {
        provide: token,
        inject: [POOL, { token: JOB_CONNECTION, optional: true }, ...inject],
        useFactory: make,
      },
      { provide: getJobQueueToken(name), useExisting: token },
    ];
  });
  return {
    module: JobsModule,
    imports,
    providers,
    exports: names.map(getJobQueueToken),
  };
}

function withName(name: string, options: OptionsWithoutName): JobQueueOptions {
  const reader = new OptionReader(`job queue "${name}"`, options, jobQueueOptionNames);
  if (reader.get('name') === undefined) return { ...options, name };
  return reader.refuse(
    'name',
    'nothing in what useFactory answers',
    'Give it beside useFactory: it names the token to inject the queue by.',
  );
}

const backendMethods = 'open close enqueue claim extend settle get list delete retry pause counts'.split(' ');

function checkBackend(backend: JobBackend | null, owner: string): void {
  const given = backend as unknown as Readonly<Record<string, unknown>> | null;
  if (
    typeof given?.capabilities === 'object' &&
    backendMethods.every((name) => typeof given[name] === 'function')
  )
    return;
  throw new InvalidOptionError({
    owner,
    option: 'backend',
    given: backend === null || typeof backend !== 'object' ? backend : backend.constructor?.name,
    accepted: 'a JobBackend, such as new MemoryJobBackend() or new RedisJobBackend({ url })',
    cure: 'Give an instance of one, or leave it out for one in memory.',
  });
}

/** The clock that the pool has by the time that it is asked: its options may be given after this. */
function clockOf(pool: Pool): Clock {
  return {
    now: () => pool.clock.now(),
    monotonic: () => pool.clock.monotonic(),
    setTimer: (callback, delayMs) => pool.clock.setTimer(callback, delayMs),
  };
}
