import { Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { Worker, WorkerModule, WorkerPoolService } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import {
  bootContext,
  bootError,
  happened,
  moduleNamed,
  poolOf,
  signal,
  thrownBy,
  UntilAborted,
  workerNames,
} from '../support/nest.js';

const imports = [WorkerModule];

@Worker({ name: 'declared' })
class Declared extends UntilAborted {}

/** Registers workers that are known only once the app is up: one for each tenant. */
@Injectable()
class TenantsOnInit implements OnModuleInit {
  readonly workers = [new UntilAborted(), new UntilAborted()];
  constructor(private readonly pool: WorkerPoolService) {}

  onModuleInit(): void {
    this.workers.forEach((worker, index) => this.pool.register(worker, { name: `tenant-${index}` }));
  }
}

@Injectable()
class TenantsOnBootstrap implements OnApplicationBootstrap {
  readonly worker = new UntilAborted();
  statusAfter = '';
  constructor(private readonly pool: WorkerPoolService) {}

  onApplicationBootstrap(): void {
    this.statusAfter = this.pool.register(this.worker, { name: 'tenant' }).status;
  }
}

describe('pool.register()', () => {
  it('in onModuleInit adds workers that start with the others', async () => {
    const app = await bootContext({ imports, providers: [Declared, TenantsOnInit] });
    await happened(app, 'started', 'tenant-1');
    expect(workerNames(app)).toEqual(['declared', 'tenant-0', 'tenant-1']);
    expect(app.get(TenantsOnInit).workers.map(({ runs }) => runs)).toEqual([1, 1]);
  });

  it('in onApplicationBootstrap adds one that waits for the end of the bootstrap', async () => {
    const app = await bootContext({ imports, providers: [TenantsOnBootstrap] });
    expect(app.get(TenantsOnBootstrap).statusAfter).toBe('unknown');
    await happened(app, 'started', 'tenant');
    expect(app.get(TenantsOnBootstrap).worker.runs).toBe(1);
  });

  it('while the pool runs starts the worker at once (Y14)', async () => {
    const app = await bootContext({ imports, providers: [Declared] });
    await happened(app, 'started', 'declared');
    const late = new UntilAborted();
    expect(poolOf(app).register(late, { name: 'late', maxAttempts: 3 })).toMatchObject({
      name: 'late',
      maxAttempts: 3,
    });
    await happened(app, 'started', 'late');
    expect(late.runs).toBe(1);
    await app.close();
    expect(poolOf(app).execution('late').status).toBe('cancelled');
  });

  it('takes the name of the class where none is given', async () => {
    const app = await bootContext({ imports });
    poolOf(app).register(new Declared());
    expect(poolOf(app).registration('Declared').origin).toBe('Declared, registered by hand');
  });

  it('refuses a name that a declared worker has', async () => {
    const app = await bootContext({ imports, providers: [Declared] });
    expect(() => poolOf(app).register(new UntilAborted(), { name: 'declared' })).toThrow(
      /"declared": Declared in AppModule and UntilAborted, registered by hand/,
    );
  });

  it('refuses bad options and an object without run()', async () => {
    const app = await bootContext({ imports });
    expect(() => poolOf(app).register(new UntilAborted(), { timeout: 0 })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'timeout' }),
    );
    expect(() => poolOf(app).register({} as never, { name: 'x' })).toThrow(
      expect.objectContaining({ code: 'WORKER_WITHOUT_RUN' }),
    );
    expect(() => poolOf(app).register(null as never)).toThrow(
      expect.objectContaining({ code: 'WORKER_WITHOUT_RUN' }),
    );
    expect(workerNames(app)).toEqual([]);
  });

  it('refuses once the app shuts down', async () => {
    const app = await bootContext({ imports });
    const draining = signal<unknown>();
    poolOf(app).register(
      {
        run: async (ctx) => {
          await ctx.sleep('1 day').catch(() => undefined);
          draining.resolve(thrownBy(() => poolOf(app).register(new UntilAborted(), { name: 'late' })));
        },
      },
      { name: 'last-wish' },
    );
    await happened(app, 'started', 'last-wish');
    await app.close();
    expect(await draining.promise).toMatchObject({ code: 'POOL_STOPPING' });
    expect(thrownBy(() => poolOf(app).register(new UntilAborted(), { name: 'later' }))).toMatchObject({
      code: 'POOL_STOPPING',
    });
    expect(workerNames(app)).toEqual(['last-wish']);
  });

  it('of a name twice in onModuleInit is a boot error', async () => {
    @Injectable()
    class Twice implements OnModuleInit {
      constructor(private readonly pool: WorkerPoolService) {}
      onModuleInit(): void {
        this.pool.register(new UntilAborted(), { name: 'same' });
        this.pool.register(new UntilAborted(), { name: 'same' });
      }
    }
    expect(await bootError({ imports, providers: [Twice] })).toMatchObject({ code: 'DUPLICATE_NAME' });
  });
});

describe('Options that come after a worker was registered', () => {
  it('in a constructor are a boot error that names the worker and says what to do', async () => {
    @Injectable()
    class Early {
      constructor(pool: WorkerPoolService) {
        pool.register(new UntilAborted(), { name: 'early' });
      }
    }
    // The options wait for what comes before them, as those of a configuration do.
    const early = moduleNamed('EarlyModule', { providers: [Early], exports: [Early] });
    const error = await bootError({
      imports: [
        WorkerModule.forRootAsync({
          imports: [early],
          inject: [Early],
          useFactory: () => ({ maxAttempts: 3 }),
        }),
      ],
    });
    expect(error).toMatchObject({ name: 'PoolConfiguredLateError', code: 'POOL_CONFIGURED_LATE' });
    expect(error.message).toMatch(/"early" had been registered.*onModuleInit\(\)/);
  });

  it('in onModuleInit are in time', async () => {
    @Injectable()
    class Timely implements OnModuleInit {
      constructor(private readonly pool: WorkerPoolService) {}
      onModuleInit(): void {
        this.pool.register(new UntilAborted(), { name: 'timely' });
      }
    }
    const app = await bootContext({
      imports: [WorkerModule.forRootAsync({ useFactory: async () => Promise.resolve({ maxAttempts: 3 }) })],
      providers: [Timely],
    });
    expect(poolOf(app).registration('timely').options.maxAttempts).toBe(3);
  });
});

describe('WorkerPoolService', () => {
  it('throws a typed error for an unknown name, and lists the known ones', async () => {
    const app = await bootContext({ imports, providers: [Declared] });
    const pool = poolOf(app);
    for (const act of [
      () => pool.registration('nobody'),
      () => pool.execution('nobody'),
      () => pool.start('nobody'),
    ]) {
      expect(act).toThrow(
        expect.objectContaining({
          code: 'WORKER_NOT_FOUND',
          message: 'No worker is named "nobody"; registered are "declared".',
        }),
      );
    }
    await expect(pool.stop('nobody')).rejects.toMatchObject({ code: 'WORKER_NOT_FOUND' });
    await expect(pool.restart('nobody')).rejects.toMatchObject({ code: 'WORKER_NOT_FOUND' });
  });

  it('stops, starts and restarts one worker by name', async () => {
    const app = await bootContext({ imports, providers: [Declared] });
    const pool = poolOf(app);
    await happened(app, 'started');
    const first = pool.execution('declared').id;
    expect(await pool.stop('declared')).toMatchObject({ orphans: [] });
    expect(pool.execution('declared')).toMatchObject({ status: 'cancelled', stopReason: 'stop-requested' });
    pool.start('declared');
    await pool.restart('declared');
    expect(pool.execution('declared').id).not.toBe(first);
  });
});
