import { Injectable } from '@nestjs/common';
import { Worker, WorkerModule } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import {
  bootContext,
  bootError,
  happened,
  LogRecorder,
  moduleNamed,
  poolOf,
  settle,
  UntilAborted,
} from '../support/nest.js';

@Worker({ name: 'outbox-relay', maxAttempts: 5, abortGrace: '3s' })
class OutboxRelay extends UntilAborted {}

@Worker()
class Importer extends UntilAborted {}

const providers = [OutboxRelay, Importer];

@Injectable()
class Config {
  readonly relay = false;
}
const configModule = moduleNamed('ConfigModule', { providers: [Config], exports: [Config] });

describe('WorkerModule options of one worker by its name', () => {
  it.each([
    ['forRoot', WorkerModule.forRoot({ workers: { 'outbox-relay': { enabled: false } } })],
    [
      'forRootAsync',
      WorkerModule.forRootAsync({
        imports: [configModule],
        inject: [Config],
        useFactory: async (config: Config) =>
          Promise.resolve({ workers: { 'outbox-relay': { enabled: config.relay } } }),
      }),
    ],
  ])('switch that one off by %s, and no other', async (_form, imported) => {
    const app = await bootContext({ imports: [imported], providers });
    await happened(app, 'started', 'Importer');
    await settle();
    expect(poolOf(app).executions()).toMatchObject([
      { name: 'outbox-relay', status: 'disabled' },
      { name: 'Importer', status: 'running' },
    ]);
    expect(app.get(OutboxRelay).runs).toBe(0);
  });

  it('go over what @Worker() says, option by option, and that over the defaults', async () => {
    const app = await bootContext({
      imports: [
        WorkerModule.forRoot({
          maxAttempts: 2,
          deferredStart: '1h',
          workers: { 'outbox-relay': { maxAttempts: 9 }, Importer: { deferredStart: '2h' } },
        }),
      ],
      providers,
    });
    expect(poolOf(app).registrations()).toMatchObject([
      {
        name: 'outbox-relay',
        options: { maxAttempts: 9, abortGraceMs: 3_000, deferredStartMs: 3_600_000 },
      },
      { name: 'Importer', options: { maxAttempts: 2, deferredStartMs: 7_200_000 } },
    ]);
  });

  it('cannot switch on what the pool has switched off', async () => {
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ enabled: false, workers: { Importer: { enabled: true } } })],
      providers,
    });
    expect(poolOf(app).execution('Importer').status).toBe('disabled');
  });

  it('switch on a worker that its decorator has switched off', async () => {
    @Worker({ name: 'opt-in', enabled: false })
    class OptIn extends UntilAborted {}
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ workers: { 'opt-in': { enabled: true } } })],
      providers: [OptIn],
    });
    await happened(app, 'started', 'opt-in');
    expect(poolOf(app).execution('opt-in').status).toBe('running');
  });

  it('apply to a worker that is registered by hand', async () => {
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ workers: { 'by-hand': { enabled: false } } })],
    });
    poolOf(app).register(new UntilAborted(), { name: 'by-hand' });
    expect(poolOf(app).execution('by-hand').status).toBe('disabled');
  });

  it('are not mistaken where a worker is named like what every object has', async () => {
    @Worker({ name: 'constructor' })
    class Odd extends UntilAborted {}
    const app = await bootContext({ imports: [WorkerModule.forRoot({ workers: {} })], providers: [Odd] });
    await happened(app, 'started', 'constructor');
    expect(poolOf(app).execution('constructor').status).toBe('running');
  });
});

describe('WorkerModule options of one worker that cannot be meant', () => {
  const errorOf = (options: object) => bootError({ imports: [WorkerModule.forRoot(options)], providers });

  it.each([
    ['an unknown option', { 'outbox-relay': { enable: false } }, 'workers.outbox-relay.enable'],
    ['a name', { 'outbox-relay': { name: 'x' } }, 'workers.outbox-relay.name'],
    ['an unknown option of nobody', { nobody: { retries: 3 } }, 'workers.nobody.retries'],
    ['no options', { 'outbox-relay': false }, 'workers.outbox-relay'],
    ['null', { 'outbox-relay': null }, 'workers.outbox-relay'],
  ])('%s is a boot error that says where it stands', async (_what, workers, path) => {
    const error = await errorOf({ workers });
    expect(error).toMatchObject({ name: 'InvalidOptionError', code: 'INVALID_OPTION' });
    expect(error.message).toContain(path);
    expect(error.message).toContain('WorkerModule.forRoot()');
  });

  it.each([[['outbox-relay']], ['outbox-relay']])('%o instead of an object is one', async (workers) => {
    const error = await errorOf({ workers });
    expect(error).toMatchObject({ code: 'INVALID_OPTION' });
    expect(error.message).toContain('workers');
  });

  it('a value that does not fit is a boot error that names the worker', async () => {
    const error = await errorOf({ workers: { 'outbox-relay': { maxAttempts: 'many' } } });
    expect(error).toMatchObject({ code: 'INVALID_OPTION' });
    expect(error.message).toContain('outbox-relay');
    expect(error.message).toContain('maxAttempts');
  });

  it('a name that no worker has is a warning in the log', async () => {
    const logger = new LogRecorder();
    const app = await bootContext(
      { imports: [WorkerModule.forRoot({ workers: { 'outbox-realy': {}, Importer: {} } })], providers },
      { logger },
    );
    const warnings = logger.texts('warn').filter((text) => !text.startsWith('Shutdown hooks'));
    expect(warnings).toEqual(['WorkerModule has options for outbox-realy, but no @Worker() has such a name']);
    expect(poolOf(app).snapshot().status).toBe('started');
  });

  it('a name that a worker has is no warning', async () => {
    const logger = new LogRecorder();
    await bootContext(
      { imports: [WorkerModule.forRoot({ workers: { 'outbox-relay': {} } })], providers },
      { logger },
    );
    expect(logger.texts('warn').filter((text) => text.includes('has options'))).toEqual([]);
  });
});
