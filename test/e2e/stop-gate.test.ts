import { Controller, Global, Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bootContext,
  bootHttp,
  happened,
  LogRecorder,
  poolOf,
  settle,
  type Signal,
  signal,
} from '../support/nest.js';

let closed: string[];
/** Settled by the test: how long the workers take to end once they were told to. */
let finish: Signal;
beforeEach(() => {
  closed = [];
  finish = signal();
});

/** Closes itself as Prisma's client does in the recipes: in onModuleDestroy. */
function closing(who: string) {
  return class implements OnModuleDestroy {
    async onModuleDestroy(): Promise<void> {
      closed.push(who);
    }
  };
}

@Injectable()
class SameModule extends closing('provider of the same module') {}

@Controller()
class ClosingController extends closing('controller') {}

@Injectable()
class InImported extends closing('provider of an imported module') {}

@Module({ providers: [InImported], exports: [InImported] })
class ImportedModule extends closing('imported module class') {}

@Injectable()
class InGlobal extends closing('provider of a global module') {}

@Global()
@Module({ providers: [InGlobal], exports: [InGlobal] })
class GlobalModule extends closing('global module class') {}

@Injectable()
class ByFactory extends closing('provider by factory') {}

@Worker({ name: 'relay' })
class Relay implements RunnableWorker {
  constructor(
    readonly same: SameModule,
    readonly imported: InImported,
    readonly global: InGlobal,
  ) {}

  async run(ctx: WorkerContext): Promise<void> {
    await ctx.sleep('1 day').catch(() => undefined);
    await finish.promise;
    closed.push('worker has ended');
  }

  // A worker may have the hook itself.
  onModuleDestroy(): void {
    closed.push('worker');
  }
}

@Module({
  imports: [WorkerModule, ImportedModule, GlobalModule],
  controllers: [ClosingController],
  providers: [SameModule, Relay, { provide: 'FACTORY', useFactory: async () => new ByFactory() }],
})
class AppModule extends closing('root module class') {}

const everyone = [
  'provider of the same module',
  'controller',
  'provider of an imported module',
  'imported module class',
  'provider of a global module',
  'global module class',
  'provider by factory',
  'worker',
  'root module class',
];

describe('A provider with onModuleDestroy is alive until the worker has ended (F35)', () => {
  it.each([
    ['a standalone context', async () => bootContext(AppModule)],
    ['Express', async () => (await bootHttp(AppModule, 'express')).app],
    ['Fastify', async () => (await bootHttp(AppModule, 'fastify')).app],
  ])('wherever it is declared, in an app with %s', async (_kind, boot) => {
    const app = await boot();
    await happened(app, 'started');
    const close = app.close();
    await settle();
    expect(poolOf(app).execution('relay').status).toBe('stopping');
    expect(closed).toEqual([]);
    finish.resolve();
    await close;
    expect(closed[0]).toBe('worker has ended');
    expect(closed.slice(1).toSorted()).toEqual(everyone.toSorted());
  });

  it('until all workers have ended', async () => {
    const second = signal();
    const app = await bootContext(AppModule);
    poolOf(app).register(
      {
        run: async (ctx) => {
          await ctx.sleep('1 day').catch(() => undefined);
          await second.promise;
          closed.push('second worker has ended');
        },
      },
      { name: 'second' },
    );
    await happened(app, 'started', 'second');
    const close = app.close();
    finish.resolve();
    await settle();
    expect(closed).toEqual(['worker has ended']);
    expect(poolOf(app).executions()).toMatchObject([{ status: 'cancelled' }, { status: 'stopping' }]);
    second.resolve();
    await close;
    expect(closed.slice(0, 2)).toEqual(['worker has ended', 'second worker has ended']);
    expect(closed).toHaveLength(2 + everyone.length);
  });

  it('and is closed although nothing runs any more', async () => {
    finish.resolve();
    const app = await bootContext(AppModule);
    await poolOf(app).stop();
    await app.close();
    expect(closed.slice(1).toSorted()).toEqual(everyone.toSorted());
  });
});

describe('The hooks that are held back', () => {
  it('are as they were before, once the app has closed', async () => {
    const own = { hook: () => closed.push('own'), onModuleDestroy: () => void closed.push('own') };
    const hook = own.onModuleDestroy;
    const app = await bootContext({
      imports: [WorkerModule],
      providers: [SameModule, { provide: 'OWN', useValue: own }],
    });
    const wrapped = app.get(SameModule);
    expect(Object.hasOwn(wrapped, 'onModuleDestroy')).toBe(true);
    await app.close();
    expect(Object.hasOwn(wrapped, 'onModuleDestroy')).toBe(false);
    expect(own.onModuleDestroy).toBe(hook);
    expect(closed.toSorted()).toEqual(['own', 'provider of the same module']);
    await wrapped.onModuleDestroy();
    expect(closed).toHaveLength(3);
  });

  it('stay invisible to whoever looks through an instance', async () => {
    const app = await bootContext({ imports: [WorkerModule], providers: [SameModule] });
    expect(Object.keys(app.get(SameModule))).toEqual([]);
  });

  it('get their own `this`', async () => {
    class Counting implements OnModuleDestroy {
      #open = true;
      onModuleDestroy(): void {
        closed.push(`open: ${this.#open}`);
      }
    }
    const app = await bootContext({ imports: [WorkerModule], providers: [Counting] });
    await app.close();
    expect(closed).toEqual(['open: true']);
  });

  it('are named in the debug log where they cannot be, and the rest goes on', async () => {
    class FrozenClient extends SameModule {
      constructor() {
        super();
        Object.freeze(this);
      }
    }
    class ProxiedClient extends SameModule {}
    const proxied = new Proxy(new ProxiedClient(), { defineProperty: () => false });
    const logger = new LogRecorder();
    finish.resolve();
    const app = await bootContext(
      { imports: [AppModule], providers: [FrozenClient, { provide: 'PROXIED', useValue: proxied }] },
      { logger },
    );
    expect(logger.texts('debug')).toEqual([
      expect.stringMatching(
        /^The onModuleDestroy of (FrozenClient, ProxiedClient|ProxiedClient, FrozenClient) cannot be held back/,
      ),
    ]);
    await happened(app, 'started');
    await app.close();
    expect(closed.filter((who) => who === 'provider of the same module')).toHaveLength(3);
    expect(poolOf(app).execution('relay').status).toBe('cancelled');
  });
});

describe('An onModuleDestroy that throws', () => {
  it.each([
    [
      'at once',
      () => {
        throw new Error('cannot close');
      },
    ],
    ['later', async () => Promise.reject(new Error('cannot close'))],
  ])('%s does so after the workers have ended, and nothing is left unhandled', async (_when, fail) => {
    let calls = 0;
    const app = await bootContext({
      imports: [AppModule],
      // Fails once: the test closes the app again, which Nest 11 takes as a second close.
      providers: [{ provide: 'BROKEN', useValue: { onModuleDestroy: () => calls++ === 0 && fail() } }],
    });
    await happened(app, 'started');
    // Nest 11 passes the error on and goes no further, Nest 12 logs it and goes on.
    const close = app.close().catch((error: unknown) => closed.push(String(error)));
    await settle();
    expect(closed).toEqual([]);
    finish.resolve();
    await close;
    expect(calls).toBe(1);
    expect(closed[0]).toBe('worker has ended');
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'closed', children: [{ status: 'cancelled' }] });
  });
});
