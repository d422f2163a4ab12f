import { RouterExecutionContext } from '@nestjs/core/router/router-execution-context.js';
import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  type NestInterceptor,
  Post,
  Scope,
  UseGuards,
  VersioningType,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { WorkerHttpModule, type WorkerHttpModuleOptions } from 'nestjs-worker/http';
import { map, type Observable, of } from 'rxjs';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  asOperator,
  asViewer,
  bootOperated,
  guarded,
  HttpClient,
  operatedApp,
  OperatorGuard,
} from '../../support/http-app.js';
import {
  bootContext,
  bootError,
  createApp,
  moduleNamed,
  type Platform,
  platforms,
  poolOf,
  type RootModule,
} from '../../support/nest.js';
import { RecordingLogger } from '../../support/recording-logger.js';

interface Request {
  readonly headers: Readonly<Record<string, string | undefined>>;
}

const requestOf = (context: ExecutionContext): Request => context.switchToHttp().getRequest<Request>();

@Injectable()
class Passwords {
  readonly password = 'from the imports';
}

const passwordsModule = moduleNamed('PasswordsModule', { providers: [Passwords], exports: [Passwords] });

@Injectable()
class InjectingGuard implements CanActivate {
  static made = 0;

  constructor(private readonly passwords: Passwords) {
    InjectingGuard.made++;
  }

  canActivate(context: ExecutionContext): boolean {
    return requestOf(context).headers['x-password'] === this.passwords.password;
  }
}

const knowing = { 'x-password': 'from the imports' };

const open: WorkerHttpModuleOptions = { allowUnauthenticated: true };

/** What `guard` answers to everybody. */
const answering = (answer: () => boolean | Promise<boolean> | Observable<boolean>): CanActivate => ({
  canActivate: answer,
});

async function bootWith(
  options: Parameters<typeof NestFactory.create>[2],
  root: RootModule,
  platform: Platform,
): Promise<HttpClient> {
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create(
    moduleNamed('AppModule', root as Parameters<typeof moduleNamed>[1]),
    adapter,
    { logger: false, abortOnError: false, forceCloseConnections: true, ...options },
  );
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  return new HttpClient(app, `http://127.0.0.1:${port}/work`);
}

describe('Boot', () => {
  it('is refused without guards, by an error that names the cure', async () => {
    for (const options of [{}, { guards: [] }, undefined]) {
      const error = await bootError(operatedApp(options as WorkerHttpModuleOptions));
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'guards' });
      expect(error.message).toContain('allowUnauthenticated: true');
      expect(error.message).toContain('WorkerHttpModule.register()');
    }
  });

  it('is refused without guards from a factory, too', async () => {
    const error = await bootError({
      imports: [WorkerHttpModule.registerAsync({ useFactory: async () => ({}) })],
    });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'guards' });
    expect(error.message).toContain('WorkerHttpModule.registerAsync()');
  });

  it('with allowUnauthenticated lets everybody in, and a warning says so', async () => {
    const logger = new RecordingLogger();
    const client = await bootOperated(operatedApp(open, { logger }));
    expect((await client.as({}).get('/overview')).status).toBe(200);
    expect(logger.messages('warn').filter((line) => /lets everybody in/.test(line))).toHaveLength(1);
  });

  it('with guards says no such thing', async () => {
    const logger = new RecordingLogger();
    await bootOperated(operatedApp(guarded, { logger }));
    expect(logger.messages('warn').join()).not.toContain('everybody');
  });

  it.each<[string, object]>([
    ['guards', { guards: [42] }],
    ['guards', { guards: OperatorGuard }],
    ['guards', { guards: [{}] }],
    ['readOnlyGuards', { guards: [OperatorGuard], readOnlyGuards: [] }],
    ['readOnlyGuards', { allowUnauthenticated: true, readOnlyGuards: [OperatorGuard] }],
    ['allowUnauthenticated', { allowUnauthenticated: 'yes' }],
    ['allowUnauthenticated', { allowUnauthenticated: true, guards: [OperatorGuard] }],
    ['bodyLimit', { ...guarded, bodyLimit: 0 }],
    ['bodyLimit', { ...guarded, bodyLimit: '1mb' }],
    ['namespace', { ...guarded, namespace: '' }],
    ['dashboard', { ...guarded, dashboard: 1 }],
    ['title', { ...guarded, title: 7 }],
    ['signIn', { ...guarded, signIn: 'magic' }],
    ['showAllToViewers', { ...guarded, showAllToViewers: 'true' }],
    ['allowedOrigins', { ...guarded, allowedOrigins: 'https://ops.example.com' }],
    ['allowedOrigins', { ...guarded, allowedOrigins: ['https://ops.example.com/'] }],
    ['allowedOrigins', { ...guarded, allowedOrigins: ['*'] }],
    ['actor', { ...guarded, actor: 'me' }],
    ['onCommand', { ...guarded, onCommand: {} }],
    ['guard', { ...guarded, guard: OperatorGuard }],
  ])('is refused by the option %s given as in %o', async (option, given) => {
    expect(await bootError(operatedApp(given))).toMatchObject({ code: 'INVALID_OPTION', option });
    const rest = await bootError({ imports: [WorkerHttpModule.registerAsync({ useFactory: () => given })] });
    expect(rest).toMatchObject({ code: 'INVALID_OPTION', option });
  });

  it.each([[''], ['/'], ['a b'], ['a//b'], [':tenant/work'], ['work*'], [7]])(
    'is refused at path %o',
    (path) => {
      expect(() => WorkerHttpModule.register({ ...guarded, path: path as string })).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION', option: 'path' }),
      );
    },
  );

  it('of an app without HTTP is harmless', async () => {
    const app = await bootContext(operatedApp(guarded));
    expect(poolOf(app).snapshot().status).toBe('started');
  });

  it('passes on what the factory fails with', async () => {
    const error = await bootError({
      imports: [WorkerHttpModule.registerAsync({ useFactory: () => Promise.reject(new Error('no config')) })],
    });
    expect(error.message).toBe('no config');
  });
});

describe('A guard that cannot be', () => {
  @Injectable({ scope: Scope.REQUEST })
  class ScopedGuard implements CanActivate {
    canActivate(): boolean {
      return true;
    }
  }

  @Injectable({ scope: Scope.REQUEST })
  class Tenant {}

  @Injectable()
  class TenantGuard implements CanActivate {
    constructor(readonly tenant: Tenant) {}
    canActivate(): boolean {
      return true;
    }
  }

  @Injectable({ scope: Scope.TRANSIENT })
  class TransientGuard implements CanActivate {
    canActivate(): boolean {
      return true;
    }
  }

  const tenants = moduleNamed('TenantsModule', { providers: [Tenant], exports: [Tenant] });
  const boots = async (root: RootModule): Promise<Error & { code?: string }> => {
    const app = await createApp(root);
    try {
      await app.init();
    } catch (error) {
      return error as Error;
    }
    throw new Error('It booted.');
  };

  it.each<[string, RootModule]>([
    ['provided and request-scoped', operatedApp({ guards: [ScopedGuard] }, {}, { providers: [ScopedGuard] })],
    ['request-scoped', operatedApp({ guards: [ScopedGuard] })],
    [
      'provided and injects what is request-scoped',
      operatedApp({ guards: [TenantGuard] }, {}, { imports: [tenants], providers: [TenantGuard] }),
    ],
    ['one that injects what is request-scoped', operatedApp({ guards: [TenantGuard], imports: [tenants] })],
    [
      'provided and transient',
      operatedApp({ guards: [TransientGuard] }, {}, { providers: [TransientGuard] }),
    ],
    ['one whose dependencies nobody exports', operatedApp({ guards: [InjectingGuard] })],
    ['a class without canActivate', operatedApp({ guards: [Passwords as never] })],
    [
      'request-scoped, as a read-only one',
      operatedApp({ guards: [OperatorGuard], readOnlyGuards: [ScopedGuard] }),
    ],
  ])('is a boot error: %s', async (_how, root) => {
    const error = await boots(root);
    expect(error).toMatchObject({
      code: 'INVALID_OPTION',
      option: expect.stringMatching(/^(g|readOnlyG)uards$/),
    });
    expect(error.message).toMatch(/(ScopedGuard|TenantGuard|TransientGuard|InjectingGuard|Passwords)/);
    expect(error.message).toContain('imports: [');
  });
});

describe.each(platforms)('On %s', (platform) => {
  it('the module is at /work', async () => {
    const client = await bootOperated(operatedApp(guarded), platform);
    expect((await client.get('/overview')).status).toBe(200);
    expect((await client.get('')).text).toContain('<!doctype html>');
    expect((await client.as({}).get('/overview')).status).toBe(401);
  });

  it('registerAsync() makes the options from what is injected', async () => {
    @Injectable()
    class Config {
      readonly title = 'Night shift';
    }
    const config = moduleNamed('ConfigModule', { providers: [Config], exports: [Config] });
    const client = await bootOperated(
      {
        imports: [
          passwordsModule,
          WorkerHttpModule.registerAsync({
            path: 'ops',
            imports: [config, passwordsModule],
            inject: [Config],
            useFactory: async ({ title }: Config) => ({ title, guards: [InjectingGuard] }),
          }),
        ],
      },
      platform,
      { path: '/ops' },
    );
    expect((await client.get('/overview')).status).toBe(403);
    const { status, body } = await client.as(knowing).get<{ title: string }>('/overview');
    expect([status, body.title]).toEqual([200, 'Night shift']);
  });

  it('a guard that injects is made once, with what the imports of the module export', async () => {
    InjectingGuard.made = 0;
    const client = await bootOperated(
      operatedApp({ guards: [InjectingGuard], imports: [passwordsModule] }),
      platform,
    );
    expect((await client.as(knowing).get('/overview')).status).toBe(200);
    expect((await client.get('/overview')).status).toBe(403);
    expect(InjectingGuard.made).toBe(1);
  });

  it('a guard that the app provides is used itself', async () => {
    @Injectable()
    class CountingGuard implements CanActivate {
      asked = 0;
      canActivate(): boolean {
        return ++this.asked > 0;
      }
    }
    const client = await bootOperated(
      operatedApp({ guards: [CountingGuard] }, {}, { providers: [CountingGuard] }),
      platform,
    );
    await client.get('/overview');
    expect(client.app.get(CountingGuard).asked).toBe(1);
  });

  it('a guard that another controller uses may be given, too', async () => {
    @Controller('other')
    @UseGuards(OperatorGuard)
    class Other {
      @Get()
      get(): string {
        return 'other';
      }
    }
    const client = await bootOperated(operatedApp(guarded, {}, { controllers: [Other] }), platform);
    expect((await client.get('/overview')).status).toBe(200);
  });

  it.each([
    ['a promise of true', () => Promise.resolve(true), 200],
    ['a promise of false', () => Promise.resolve(false), 403],
    ['an observable of true', () => of(true), 200],
    ['an observable of false', () => of(false), 403],
    ['false', () => false, 403],
    ['something truthy, as elsewhere in Nest', () => 'yes' as never, 200],
    ['an empty observable', () => of() as Observable<boolean>, 403],
    [
      'nothing, since it fails',
      () => {
        throw new Error('the database at 10.0.0.7 is gone');
      },
      500,
    ],
  ])('a guard may answer %s', async (_what, answer, expected) => {
    const logger = new RecordingLogger();
    const client = await bootOperated(operatedApp({ guards: [answering(answer)] }, { logger }), platform);
    const { status, text } = await client.get('/overview');
    expect(status).toBe(expected);
    expect(text).not.toContain('10.0.0.7');
    // What is our own fault is told to the log, once.
    expect(logger.messages('error').filter((line) => /HTTP API/.test(line))).toHaveLength(
      expected === 500 ? 1 : 0,
    );
  });

  it('all guards must let through, and the first that refuses is the last that is asked', async () => {
    const asked: number[] = [];
    const guards = [true, false, true].map((passes, index) =>
      answering(() => {
        asked.push(index);
        return passes;
      }),
    );
    const client = await bootOperated(operatedApp({ guards }), platform);
    expect((await client.get('/overview')).status).toBe(403);
    expect(asked).toEqual([0, 1]);
  });

  it.each(['ops/work', '/ops/work/', 'a.b/c_d/~e-f'])('the module is at path %o', async (path) => {
    const at = `/${path.replaceAll(/^\/|\/$/g, '')}`;
    const client = await bootOperated(operatedApp({ ...guarded, path }), platform, { path: at });
    expect((await client.get('/overview')).status).toBe(200);
    expect((await client.get('/nothing')).body).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    const { text } = await client.get('');
    expect(text).toContain(`href="${at.split('/').at(-1)!}/assets/app.css?`);
  });

  it('the global prefix is before it', async () => {
    const client = await bootOperated(operatedApp(guarded), platform, {
      path: '/api/v7/work',
      prepare: (app) => app.setGlobalPrefix('api/v7'),
    });
    expect((await client.get('/overview')).status).toBe(200);
    expect((await client.get('/nothing')).body).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    expect((await client.post('/jobs', '{')).body).toMatchObject({ code: 'REQUEST_MALFORMED' });
    expect((await fetch(client.url.replace('/api/v7', ''))).status).toBe(404);
  });

  it('the default version of the URI is before it', async () => {
    const client = await bootOperated(operatedApp(guarded), platform, {
      path: '/api/v2/work',
      prepare: (app) =>
        app.setGlobalPrefix('api').enableVersioning({ type: VersioningType.URI, defaultVersion: '2' }),
    });
    expect((await client.get('/overview')).status).toBe(200);
    expect((await client.get('/nothing')).body).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  });

  it('its own versions of the URI are before it', async () => {
    const root = operatedApp({ ...guarded, version: ['3', '4'] });
    const client = await bootOperated(root, platform, {
      path: '',
      prepare: (app) => app.enableVersioning({ type: VersioningType.URI, defaultVersion: '2' }),
    });
    const statuses = await Promise.all(
      ['/v3', '/v4', '/v2', ''].map(async (version) => (await client.get(`${version}/work/overview`)).status),
    );
    expect(statuses).toEqual([200, 200, 404, 404]);
    expect((await client.get('/v4/work/nothing')).body).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  });

  it('a header may tell the version', async () => {
    const client = await bootOperated(operatedApp({ ...guarded, version: '1' }), platform, {
      prepare: (app) => app.enableVersioning({ type: VersioningType.HEADER, header: 'x-version' }),
    });
    const one = client.as({ ...asOperator, 'x-version': '1' });
    expect((await one.get('/overview')).status).toBe(200);
    expect((await one.post('/queues/mails/pause')).status).toBe(200);
    for (const other of [client, client.as({ ...asOperator, 'x-version': '2' })]) {
      const { status, body } = await other.get('/overview');
      expect([status, body]).toEqual([404, expect.objectContaining({ code: 'ROUTE_NOT_FOUND' })]);
    }
  });

  it('two modules in one app have guards, limits and paths of their own', async () => {
    const root = operatedApp(
      { guards: [OperatorGuard], bodyLimit: 200 },
      {},
      {
        imports: [
          WorkerHttpModule.register({
            path: 'ops/work',
            guards: [InjectingGuard],
            imports: [passwordsModule],
            bodyLimit: 2_000,
            dashboard: false,
          }),
        ],
      },
    );
    const one = await bootOperated(root, platform);
    const two = new HttpClient(one.app, one.url.replace('/work', '/ops/work'), knowing);
    expect((await one.get('/overview')).status).toBe(200);
    expect((await two.get('/overview')).status).toBe(200);
    expect((await one.as(knowing).get('/overview')).status).toBe(401);
    expect((await two.as(asOperator).get('/overview')).status).toBe(403);
    const long = { payload: 'x'.repeat(500) };
    expect((await one.post('/queues/idle/jobs', long)).status).toBe(413);
    expect((await two.post('/queues/idle/jobs', long)).status).toBe(201);
    expect((await two.post('/queues/idle/jobs', { payload: 'x'.repeat(5_000) })).status).toBe(413);
    expect((await one.get('')).status).toBe(200);
    expect((await two.get('')).status).toBe(404);
    for (const client of [one, two]) {
      expect((await client.get('/nothing')).body).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    }
    // The audit of each has what was sent to it.
    await one.post('/queues/mails/pause');
    const commandsOf = async (client: HttpClient): Promise<string[]> => {
      const { body } = await client.get<{ commands: { command: string }[] }>('/commands');
      return body.commands.map(({ command }) => command);
    };
    expect(await commandsOf(one)).toContain('pauseQueue');
    expect(await commandsOf(two)).not.toContain('pauseQueue');
  });

  it('other routes of the app answer as they did, whatever their paths end with', async () => {
    @Controller('team/work')
    class TeamWork {
      @Post('jobs')
      post(): string {
        return 'posted';
      }
      @Get('fails')
      fails(): never {
        throw new Error('by itself');
      }
    }
    const client = await bootOperated(operatedApp(guarded, {}, { controllers: [TeamWork] }), platform, {
      path: '/team/work',
    });
    expect((await client.post('/jobs', {})).text).toBe('posted');
    for (const reply of [
      await client.post('/jobs', '{'),
      await client.get('/nix'),
      await client.get('/fails'),
    ]) {
      expect(reply.body).toHaveProperty('statusCode', reply.status);
      expect(reply.body).not.toHaveProperty('code', 'ROUTE_NOT_FOUND');
      expect(reply.body).not.toHaveProperty('code', 'REQUEST_MALFORMED');
    }
  });

  it('an interceptor of the app that wraps results does not change the answers', async () => {
    @Injectable()
    class Wrapping implements NestInterceptor {
      intercept(_context: ExecutionContext, next: CallHandler): Observable<object> {
        return next.handle().pipe(map((data: unknown) => ({ data })));
      }
    }
    const providers = [{ provide: APP_INTERCEPTOR, useClass: Wrapping }];
    const client = await bootOperated(operatedApp(guarded, {}, { providers }), platform);
    expect((await client.get('/overview')).body).toHaveProperty('workers');
    expect((await client.get('/nothing')).body).toHaveProperty('code', 'ROUTE_NOT_FOUND');
    expect((await client.get('')).text).toMatch(/^<!doctype html>/);
  });

  it('options that are made of something request-scoped stop the boot, since nobody would guard it', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {}
    const exporting = moduleNamed('Exporting', { providers: [PerRequest], exports: [PerRequest] });
    const http = WorkerHttpModule.registerAsync({
      imports: [exporting],
      inject: [PerRequest],
      useFactory: () => guarded,
    });
    const app = await createApp({ imports: [http] }, platform);
    await expect(app.init()).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('request-scoped'),
    });
  });

  it('what instruments handlers, and passes on their metadata alone, does not keep it from answering', async () => {
    type Create = (instance: object, callback: Handler, ...rest: unknown[]) => unknown;
    type Handler = (this: unknown, ...args: unknown[]) => unknown;
    const { prototype } = RouterExecutionContext as unknown as { readonly prototype: { create: Create } };
    const original = prototype.create;
    const create = vi.spyOn(prototype, 'create').mockImplementation(function (this: unknown, ...given) {
      const [instance, callback, ...rest] = given;
      const wrapped: Handler = function (...args) {
        return callback.apply(this, args);
      };
      for (const key of Reflect.getMetadataKeys(callback))
        Reflect.defineMetadata(key, Reflect.getMetadata(key, callback), wrapped);
      return original.call(this as never, instance, wrapped, ...rest);
    });
    onTestFinished(() => create.mockRestore());
    const client = await bootOperated(operatedApp(guarded), platform);
    expect((await client.get('/overview')).status).toBe(200);
    expect((await client.as({}).get('/overview')).status).toBe(401);
    expect(create).toHaveBeenCalled();
  });

  it('a guard of the whole app runs, too, and its refusal has our form', async () => {
    @Injectable()
    class Closing implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        return requestOf(context).headers['x-office'] === 'yes';
      }
    }
    const providers = [{ provide: APP_GUARD, useClass: Closing }];
    const client = await bootOperated(operatedApp(guarded, {}, { providers }), platform);
    const { status, body } = await client.get('/overview');
    expect([status, body]).toEqual([403, { error: expect.any(String), code: 'FORBIDDEN' }]);
    expect((await client.as({ ...asOperator, 'x-office': 'yes' }).get('/overview')).status).toBe(200);
    expect((await client.as({ 'x-office': 'yes' }).get('/overview')).status).toBe(401);
  });

  it('commands work where the app parses no bodies', async () => {
    const client = await bootWith(
      { bodyParser: false },
      operatedApp({ ...guarded, bodyLimit: 1_000 }),
      platform,
    );
    const made = await client.post('/queues/idle/jobs', { payload: { a: 'ä' }, id: 'one' });
    expect([made.status, made.body]).toEqual([201, { id: 'one', queue: 'idle', status: 'enqueued' }]);
    expect((await client.queue('idle').get('one'))?.payload).toEqual({ a: 'ä' });
    expect((await client.post('/queues/mails/redrive')).status).toBe(200);
    const refusals: readonly [unknown, string | undefined, number][] = [
      ['{', undefined, 400],
      [`"${'x'.repeat(2_000)}"`, undefined, 413],
      ['{}', 'text/plain', 415],
      ['', undefined, 400],
    ];
    for (const [body, type, status] of refusals) {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
      const refused = await client.ask('POST', '/jobs', body, headers);
      expect([refused.status, refused.body]).toEqual([
        status,
        expect.objectContaining({ error: expect.any(String), code: expect.any(String) }),
      ]);
    }
    const endless = await fetch(`${client.url}/jobs`, {
      method: 'POST',
      headers: { ...asOperator, 'content-type': 'application/json' },
      body: new Blob(['{"a":"', 'x'.repeat(5_000)]).stream(),
      duplex: 'half',
    });
    expect([endless.status, ((await endless.json()) as { code: string }).code]).toEqual([
      413,
      'BODY_TOO_LARGE',
    ]);
  });

  it('viewers are told apart by guards of their own', async () => {
    const client = await bootOperated(operatedApp(guarded), platform);
    const access = async (headers: Record<string, string>): Promise<unknown> =>
      (await client.as(headers).get('/overview')).body['access'];
    expect([await access(asOperator), await access(asViewer)]).toEqual(['operator', 'viewer']);
  });
});

describe('What a guard injects by token', () => {
  @Injectable()
  class TokenGuard implements CanActivate {
    constructor(@Inject('KEY') private readonly key: string) {}
    canActivate(context: ExecutionContext): boolean {
      return requestOf(context).headers['x-password'] === this.key;
    }
  }

  it('may come from a global module', async () => {
    const keys = {
      module: moduleNamed('KeysModule', {}),
      global: true,
      providers: [{ provide: 'KEY', useValue: 'k' }],
      exports: ['KEY'],
    };
    const client = await bootOperated(operatedApp({ guards: [TokenGuard] }, {}, { imports: [keys] }));
    expect((await client.as({ 'x-password': 'k' }).get('/overview')).status).toBe(200);
    expect((await client.get('/overview')).status).toBe(403);
  });
});
