import { Injectable, Module } from '@nestjs/common';
import { Worker, WorkerModule, WorkerPool, type WorkerPoolOptions, WorkerPoolService } from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import {
  bootContext,
  bootError,
  happened,
  moduleNamed,
  poolOf,
  type RootModule,
  UntilAborted,
  workerNames,
} from '../support/nest.js';

@Worker({ name: 'idle' })
class Idle extends UntilAborted {}

@Injectable()
class OptionsFactory {
  create(): WorkerPoolOptions {
    return { maxAttempts: 7, restart: 'always' };
  }
}

@Injectable()
class Config {
  readonly attempts = 7;
}

const configModule = moduleNamed('ConfigModule', {
  providers: [Config, OptionsFactory],
  exports: [Config, OptionsFactory],
});

async function optionsOf(root: RootModule) {
  const app = await bootContext(root);
  return poolOf(app).registration('idle').options;
}

describe('WorkerModule', () => {
  it('imported plain has the defaults', async () => {
    expect(await optionsOf({ imports: [WorkerModule], providers: [Idle] })).toMatchObject({
      deferredStartMs: 0,
      maxAttempts: 1,
      restart: 'on-failure',
      onExhausted: 'unhealthy',
      enabled: true,
    });
  });

  it('forRoot gives defaults to all workers, which they may override', async () => {
    @Worker({ name: 'own', maxAttempts: 2 })
    class Own extends UntilAborted {}
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ maxAttempts: Infinity, deferredStart: '0.1s' })],
      providers: [Idle, Own],
    });
    expect(poolOf(app).executions()).toMatchObject([
      { name: 'idle', maxAttempts: Infinity, deferredStart: 100 },
      { name: 'own', maxAttempts: 2, deferredStart: 100 },
    ]);
  });

  it('forRoot without an argument worth mentioning is the same as plain', async () => {
    expect(await optionsOf({ imports: [WorkerModule.forRoot({})], providers: [Idle] })).toMatchObject({
      maxAttempts: 1,
    });
  });

  it.each([
    [
      'useFactory',
      WorkerModule.forRootAsync({
        imports: [configModule],
        inject: [Config],
        useFactory: (config: Config) => ({ maxAttempts: config.attempts, restart: 'always' }),
      }),
    ],
    [
      'useFactory, async',
      WorkerModule.forRootAsync({
        useFactory: async () => Promise.resolve({ maxAttempts: 7, restart: 'always' }),
      }),
    ],
    ['useClass', WorkerModule.forRootAsync({ useClass: OptionsFactory })],
    ['useExisting', WorkerModule.forRootAsync({ imports: [configModule], useExisting: OptionsFactory })],
  ])('forRootAsync with %s', async (_form, configured) => {
    expect(await optionsOf({ imports: [configured], providers: [Idle] })).toMatchObject({
      maxAttempts: 7,
      restart: 'always',
    });
  });

  it('forRootAsync reports bad options at boot', async () => {
    const error = await bootError({
      imports: [WorkerModule.forRootAsync({ useFactory: () => ({ maxAttempts: -1 }) })],
    });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'maxAttempts' });
  });

  it('offers WorkerPoolService to every module, imported or not', async () => {
    let injected: WorkerPoolService | undefined;
    @Injectable()
    class Dashboard {
      constructor(pool: WorkerPoolService) {
        injected = pool;
      }
    }
    const feature = moduleNamed('FeatureModule', { providers: [Dashboard] });
    const app = await bootContext({ imports: [WorkerModule, feature] });
    expect(injected).toBe(poolOf(app));
    expect(injected).toBeInstanceOf(WorkerPool);
  });
});

describe('WorkerModule imported more than once', () => {
  const feature = (...imports: NonNullable<Parameters<typeof Module>[0]['imports']>) =>
    moduleNamed('FeatureModule', { imports });

  it('plain beside forRoot is one pool with those options, in either order', async () => {
    const configured = WorkerModule.forRoot({ maxAttempts: 7 });
    for (const imports of [
      [feature(WorkerModule), configured],
      [configured, feature(WorkerModule)],
    ]) {
      const app = await bootContext({ imports, providers: [Idle] });
      await happened(app, 'started');
      expect(poolOf(app).executions()).toMatchObject([{ name: 'idle', maxAttempts: 7, status: 'running' }]);
      expect(app.get(Idle).runs).toBe(1);
    }
  });

  it('with the same options is fine', async () => {
    const app = await bootContext({
      imports: [
        WorkerModule.forRoot({ maxAttempts: 7, backoff: { initial: '1s' } }),
        feature(WorkerModule.forRoot({ maxAttempts: 7, backoff: { initial: '1s' } })),
      ],
      providers: [Idle],
    });
    expect(workerNames(app)).toEqual(['idle']);
  });

  it('with different options is a boot error that names them', async () => {
    const error = await bootError({
      imports: [
        WorkerModule.forRoot({ maxAttempts: 7, restart: 'always', timeout: '1s' }),
        feature(WorkerModule.forRoot({ maxAttempts: 8, restart: 'always' })),
      ],
    });
    expect(error).toMatchObject({ name: 'PoolOptionsConflictError', code: 'POOL_OPTIONS_CONFLICT' });
    expect(error.message).toContain('different options (maxAttempts, timeout)');
    expect(error.message).toContain('once, in the root module, and import plain WorkerModule elsewhere');
  });

  it('with options that differ by what a factory answers is one too', async () => {
    const error = await bootError({
      imports: [
        WorkerModule.forRoot({ maxAttempts: 7 }),
        feature(WorkerModule.forRootAsync({ useFactory: () => ({ maxAttempts: 8 }) })),
      ],
    });
    expect(error).toMatchObject({ code: 'POOL_OPTIONS_CONFLICT' });
  });
});

describe('Two apps in one process', () => {
  it('have a pool each, and stopping one leaves the other alone', async () => {
    const clock = new FakeClock();
    const root = { imports: [WorkerModule.forRoot({ clock })], providers: [Idle] };
    const one = await bootContext(root);
    const two = await bootContext({ ...root, imports: [WorkerModule.forRoot({ clock, maxAttempts: 2 })] });
    await Promise.all([happened(one, 'started'), happened(two, 'started')]);
    await one.close();
    expect(poolOf(one).snapshot()).toMatchObject({ status: 'closed', children: [{ status: 'cancelled' }] });
    expect(poolOf(two).snapshot()).toMatchObject({ status: 'started', children: [{ status: 'running' }] });
    expect(poolOf(two).execution('idle').maxAttempts).toBe(2);
  });

  it('may be of one module class', async () => {
    @Module({ imports: [WorkerModule], providers: [Idle] })
    class AppModule {}
    const [one, two] = await Promise.all([bootContext(AppModule), bootContext(AppModule)]);
    await Promise.all([happened(one, 'started'), happened(two, 'started')]);
    expect(one.get(Idle)).not.toBe(two.get(Idle));
    await poolOf(one).stop('idle');
    expect(poolOf(one).execution('idle').status).toBe('cancelled');
    expect(poolOf(two).execution('idle').status).toBe('running');
  });
});
