import {
  type CanActivate,
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type ModuleMetadata,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { InvalidOptionError } from '../errors/index.js';
import { type Pool, POOL, PoolModule } from '../pool/index.js';
import { HttpApi } from './http-api.js';
import { type HttpOptions, resolveHttpOptions } from './http-options.js';
import { HTTP_API, HTTP_PLACE } from './http.tokens.js';
import { operations } from './operations.js';
import { PlatformErrors } from './platform-errors.service.js';
import type { HttpPlace } from './routes.js';
import { controllerOf } from './work-http.controller.js';

/** A guard of Nest: its class, which may inject what `imports` export, or an instance. */
export type GuardReference = Type<CanActivate> | CanActivate;

/** Who may see and do what over HTTP, and how it is shown. */
export interface WorkerHttpOptions extends HttpOptions {
  /** Whoever they all let through may see and do everything. Required, unless `allowUnauthenticated` says that there are none. */
  readonly guards?: readonly GuardReference[] | undefined;
  /**
   * Whom `guards` do not let through, and these do, may look at everything but payloads, results, headers of jobs and stacks, and
   * change nothing. Default: nobody.
   */
  readonly readOnlyGuards?: readonly GuardReference[] | undefined;
}

/** Where the module is: known before the app is made. */
export interface WorkerHttpPlace extends Pick<ModuleMetadata, 'imports'> {
  /** After the global prefix of the app and its version, if there are any. Default `'work'`. */
  readonly path?: string | undefined;
  /** Of an app with versioning. Default: the app's default version. */
  readonly version?: string | string[] | symbol | undefined;
}

/** What `register()` takes. */
export interface WorkerHttpModuleOptions extends WorkerHttpPlace, WorkerHttpOptions {}

/** What `registerAsync()` takes: where the module is is needed at once, the rest is made by `useFactory`. */
export interface WorkerHttpModuleAsyncOptions extends WorkerHttpPlace {
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...dependencies: never[]) => WorkerHttpOptions | Promise<WorkerHttpOptions>;
}

/**
 * What an operator needs to see and steer workers, tasks and jobs: an HTTP API with its OpenAPI document, what autoscalers read, and a
 * dashboard. Closed by default: without `guards` the app does not boot, unless it says aloud that everybody may.
 */
@Module({ imports: [PoolModule] })
export class WorkerHttpModule {
  /** @internal Nest makes it. */
  constructor(
    @Inject(HTTP_API) private readonly api: HttpApi,
    private readonly platformErrors: PlatformErrors,
  ) {}

  /** What cannot be meant is an `InvalidOptionError` at boot. */
  static register(options: WorkerHttpModuleOptions): DynamicModule {
    const { path, version, imports, ...rest } = options ?? {};
    return httpModule(
      { path, version, ...(imports && { imports }), useFactory: () => rest },
      'WorkerHttpModule.register()',
    );
  }

  /** The same with options that are known at run time. */
  static registerAsync(options: WorkerHttpModuleAsyncOptions): DynamicModule {
    return httpModule(options, 'WorkerHttpModule.registerAsync()');
  }

  /** @internal Before any route is made. */
  configure(): void {
    // Nest has made nothing here where something that useFactory injects is made for each request.
    if ((this.platformErrors as PlatformErrors | undefined) === undefined) {
      throw new InvalidOptionError({
        owner: 'WorkerHttpModule.registerAsync()',
        option: 'inject',
        given: 'something request-scoped',
        accepted: 'what is made once',
        cure: 'Inject nothing that has Scope.REQUEST, or that injects what has.',
      });
    }
    this.platformErrors.beforeRoutes();
  }

  /** @internal After all routes are made. */
  onModuleInit(): void {
    this.platformErrors.afterRoutes();
    if (this.api.options.guards.length > 0) return;
    this.api.pool.say(
      'warn',
      'WorkerHttpModule lets everybody in (allowUnauthenticated): whoever reaches it may read and delete jobs',
    );
  }

  /** @internal */
  onApplicationBootstrap(): void {
    this.api.open();
  }

  /** @internal Workers, tasks and jobs have ended by now; until then the dashboard shows how. */
  beforeApplicationShutdown(): void {
    this.api.close();
  }
}

function httpModule(
  { path: given = 'work', version, imports = [], inject = [], useFactory }: WorkerHttpModuleAsyncOptions,
  owner: string,
): DynamicModule {
  const place: HttpPlace = { path: pathOf(given, owner), version };
  const folder = place.path.split('/').at(-1)!;
  return {
    module: WorkerHttpModule,
    imports,
    controllers: [controllerOf(operations, place)],
    providers: [
      { provide: HTTP_PLACE, useValue: place },
      {
        provide: HTTP_API,
        inject: [POOL, ...inject],
        useFactory: async (pool: Pool, ...dependencies: never[]): Promise<HttpApi> =>
          new HttpApi(pool, resolveHttpOptions((await useFactory(...dependencies)) ?? {}, owner), folder),
      },
      {
        provide: PlatformErrors,
        inject: [HTTP_API, HTTP_PLACE, HttpAdapterHost],
        useFactory: (api: HttpApi, at: HttpPlace, host: HttpAdapterHost) => new PlatformErrors(api, at, host),
      },
    ],
  };
}

/** Throws `InvalidOptionError`. */
function pathOf(given: unknown, owner: string): string {
  const path = typeof given === 'string' ? given.replaceAll(/^\/+|\/+$/g, '') : '';
  if (/^[\w.~-]+(?:\/[\w.~-]+)*$/.test(path)) return path;
  throw new InvalidOptionError({
    owner,
    option: 'path',
    given,
    accepted: 'a path of letters, digits and . _ ~ -, with / between its parts',
    cure: "Write for example path: 'ops/work'.",
  });
}
