import {
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  Injectable,
  type ModuleMetadata,
  UnauthorizedException,
} from '@nestjs/common';
import {
  getJobQueueToken,
  getTaskQueueToken,
  type Job,
  type JobContext,
  JobHandler,
  type JobQueue,
  JobsModule,
  type JobsModuleOptions,
  MemoryJobBackend,
  type TaskQueue,
  TaskQueueModule,
  Worker,
  type WorkerContext,
  WorkerModule,
} from 'nestjs-worker';
import { WorkerHttpModule, type WorkerHttpModuleOptions } from 'nestjs-worker/http';
import { type BootOptions, createApp, type Platform, type RootModule } from './nest.js';

type Headers = Readonly<Record<string, string | undefined>>;
interface Request {
  readonly headers: Headers;
  user?: object;
}

/** Lets through who says that password. */
function guardFor(password: string): new () => CanActivate {
  @Injectable()
  class PasswordGuard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const request = context.switchToHttp().getRequest<Request>();
      if (request.headers['authorization'] !== `Bearer ${password}`) throw new UnauthorizedException();
      request.user = { id: password };
      return true;
    }
  }
  return PasswordGuard;
}

export const OperatorGuard = guardFor('operator');
export const ViewerGuard = guardFor('viewer');
/** How to be let through by them. */
export const asOperator = { authorization: 'Bearer operator' };
export const asViewer = { authorization: 'Bearer viewer' };

@Worker({ name: 'steady' })
class Steady {
  async run(ctx: WorkerContext): Promise<void> {
    await ctx.sleep(Infinity);
  }
}

@Worker({ name: 'broken' })
class Broken {
  run(): Promise<void> {
    return Promise.reject(new Error('The tape has run out'));
  }
}

@Worker({ name: 'off', enabled: false })
class Off {
  async run(): Promise<void> {}
}

@JobHandler('mails', { maxAttempts: 1, keepCompleted: '1h' })
class Mails {
  async handle(job: Job<{ fail?: string; hold?: boolean } | undefined>, ctx: JobContext): Promise<object> {
    if (job.payload?.hold === true) await ctx.sleep(Infinity);
    if (job.payload?.fail !== undefined) throw new Error(job.payload.fail);
    return { sent: true };
  }
}

/** With workers, a task queue, a job queue whose jobs run here and one whose jobs nobody runs. */
export function operatedApp(
  http: WorkerHttpModuleOptions,
  backend?: JobsModuleOptions,
  { imports = [], providers = [], controllers = [] }: ModuleMetadata = {},
): RootModule {
  return {
    imports: [
      WorkerModule.forRoot({ shutdownTimeout: '2s', abortMargin: '1s', ...poolOptions(backend) }),
      TaskQueueModule.register({ name: 'thumbs', concurrency: 2 }),
      JobsModule.forRoot(backend?.backend === undefined ? {} : { backend: backend.backend }),
      JobsModule.registerQueue({ name: 'mails', format: 'json' }, { name: 'idle', format: 'json' }),
      WorkerHttpModule.register(http),
      ...imports,
    ],
    providers: [Steady, Broken, Off, Mails, ...providers],
    controllers,
  };
}

function poolOptions(options: JobsModuleOptions = {}): JobsModuleOptions {
  const { backend: _backend, ...rest } = options;
  return rest;
}

export const guarded: WorkerHttpModuleOptions = {
  guards: [OperatorGuard],
  readOnlyGuards: [ViewerGuard],
};

export interface Reply<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: globalThis.Headers;
  readonly text: string;
  readonly body: Body;
}

/** Asks an app that has WorkerHttpModule. */
export class HttpClient {
  constructor(
    readonly app: INestApplication,
    /** Where the module is. */
    readonly url: string,
    readonly headers: Record<string, string> = asOperator,
  ) {}

  as(headers: Record<string, string>): HttpClient {
    return new HttpClient(this.app, this.url, headers);
  }

  async ask<Body = Record<string, never>>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Reply<Body>> {
    const isText = typeof body === 'string';
    const response = await fetch(`${this.url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...this.headers,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: (isJson ? JSON.parse(text) : undefined) as Body,
    };
  }

  get<Body = Record<string, never>>(path: string): Promise<Reply<Body>> {
    return this.ask('GET', path);
  }

  post<Body = Record<string, never>>(path: string, body?: unknown): Promise<Reply<Body>> {
    return this.ask('POST', path, body);
  }

  queue(name: string): JobQueue {
    return this.app.get(getJobQueueToken(name), { strict: false });
  }

  taskQueue(name: string): TaskQueue {
    return this.app.get(getTaskQueueToken(name), { strict: false });
  }
}

/** Boots it on a free port. */
export async function bootOperated(
  root: RootModule,
  platform: Platform = 'express',
  {
    path = '/work',
    prepare,
    ...options
  }: BootOptions & { path?: string; prepare?: (app: INestApplication) => void } = {},
): Promise<HttpClient> {
  const app = await createApp(root, platform, options);
  prepare?.(app);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  return new HttpClient(app, `http://127.0.0.1:${port}${path}`);
}

/** A backend in memory all of whose calls fail, as those of a Redis that is gone, while `broken` is set. */
export function breakableBackend(): { readonly backend: MemoryJobBackend; broken: boolean } {
  const memory = new MemoryJobBackend();
  const state = { backend: memory, broken: false };
  state.backend = new Proxy(memory, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (state.broken && name !== 'close' && name !== 'open')
          return Promise.reject(new Error('connect ECONNREFUSED redis.internal:6379'));
        return (value as (...given: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  return state;
}
