import { Controller, Global, Injectable, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Worker, WorkerModule } from 'nestjs-worker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  bootError,
  createApp,
  happened,
  moduleNamed,
  platforms,
  poolOf,
  settle,
  type Signal,
  signal,
  UntilAborted,
} from '../support/nest.js';

@Worker({ name: 'idle' })
class Idle extends UntilAborted {}

/** Each bootstrap hook in the tests takes as long as the test wants. */
let gates: Map<string, Signal>;
let entered: string[];
beforeEach(() => {
  gates = new Map();
  entered = [];
});
afterEach(() => gates.forEach((gate) => gate.resolve()));

function bootstrapOf(who: string): Promise<void> {
  entered.push(who);
  const gate = signal();
  gates.set(who, gate);
  return gate.promise;
}

async function reached(who: string): Promise<void> {
  while (!gates.has(who)) await settle();
}

function slowly(who: string) {
  return class implements OnApplicationBootstrap {
    async onApplicationBootstrap(): Promise<void> {
      await bootstrapOf(who);
    }
  };
}

@Injectable()
class SameModule extends slowly('provider of the same module') {}

@Controller()
class SlowController extends slowly('controller') {}

@Injectable()
class InImported extends slowly('provider of an imported module') {}

@Module({ providers: [InImported] })
class ImportedModule extends slowly('imported module class') {}

@Injectable()
class InGlobal extends slowly('provider of a global module') {}

@Global()
@Module({ providers: [InGlobal] })
class GlobalModule extends slowly('global module class') {}

@Module({
  imports: [WorkerModule, ImportedModule, GlobalModule],
  providers: [Idle, SameModule],
  controllers: [SlowController],
})
class AppModule extends slowly('root module class') {}

const everyone = [
  'provider of the same module',
  'controller',
  'provider of an imported module',
  'imported module class',
  'provider of a global module',
  'global module class',
  'root module class',
];

describe.each(platforms)('Workers start after every onApplicationBootstrap (%s)', (platform) => {
  it.each(everyone)('also after that of a %s', async (last) => {
    const app = await createApp(AppModule, platform);
    const init = app.init();
    // All but one end as soon as they begin.
    const rest = everyone.filter((who) => who !== last);
    const others = Promise.all(
      rest.map(async (who) => {
        await reached(who);
        gates.get(who)?.resolve();
      }),
    );
    await reached(last);
    await settle();
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'idle', children: [{ status: 'unknown' }] });
    expect(app.get(Idle).runs).toBe(0);

    gates.get(last)?.resolve();
    await others;
    await init;
    await happened(app, 'started');
    expect(app.get(Idle).runs).toBe(1);
    expect(entered.toSorted()).toEqual(everyone.toSorted());
  });
});

describe('Starting workers', () => {
  it('does not hold up init() or listen(), however long they run', async () => {
    const app = await createApp({ imports: [WorkerModule], providers: [Idle] });
    await app.init();
    await happened(app, 'started');
    await app.listen(0);
    expect(poolOf(app).execution('idle').status).toBe('running');
  });

  it('does not hold up init() with the first, synchronous steps of a worker (.NET #36063)', async () => {
    const steps: string[] = [];
    @Worker()
    class Eager {
      async run(): Promise<void> {
        steps.push('run');
      }
    }
    const app = await createApp({ imports: [WorkerModule], providers: [Eager] });
    await app.init();
    steps.push('init() has answered');
    await happened(app, 'succeeded');
    expect(steps.toSorted()).toEqual(['init() has answered', 'run']);
  });

  it('needs no hook in the app', async () => {
    const app = await createApp({ imports: [WorkerModule], providers: [Idle] });
    await app.init();
    await happened(app, 'started');
    expect(app.get(Idle).runs).toBe(1);
  });

  it('leaves the hooks of the app as they were', async () => {
    class Hooked {
      calls = 0;
      onApplicationBootstrap(): void {
        this.calls++;
      }
    }
    const own = { calls: 0, onApplicationBootstrap: () => void own.calls++ };
    const hook = own.onApplicationBootstrap;
    const app = await createApp({
      imports: [WorkerModule],
      providers: [Hooked, { provide: 'OWN', useValue: own }],
    });
    await app.init();
    expect(app.get(Hooked).calls).toBe(1);
    expect(own.calls).toBe(1);
    expect(Object.keys(app.get(Hooked))).toEqual(['calls']);
    expect(Object.hasOwn(app.get(Hooked), 'onApplicationBootstrap')).toBe(false);
    expect(own.onApplicationBootstrap).toBe(hook);
  });

  it('waits for every call of a hook that two modules share', async () => {
    const shared = new SameModule();
    const feature = (name: string) =>
      moduleNamed(name, { providers: [{ provide: 'SHARED', useValue: shared }] });
    const app = await createApp({
      imports: [
        WorkerModule,
        moduleNamed('OuterModule', {
          imports: [feature('InnerModule')],
          providers: [{ provide: 'SHARED', useValue: shared }],
        }),
      ],
      providers: [Idle],
    });
    const init = app.init();
    for (let call = 0; call < 2; call++) {
      await reached('provider of the same module');
      expect(poolOf(app).execution('idle').status).toBe('unknown');
      const gate = gates.get('provider of the same module');
      gates.clear();
      gate?.resolve();
    }
    await init;
    await happened(app, 'started');
    expect(entered).toHaveLength(2);
  });
});

describe('A bootstrap that is rejected', () => {
  it('means that nothing ever starts, not even when others end later', async () => {
    class Broken implements OnApplicationBootstrap {
      async onApplicationBootstrap(): Promise<void> {
        throw new Error('no database');
      }
    }
    const app = await createApp({
      imports: [WorkerModule],
      providers: [Idle, SameModule, Broken],
    });
    await expect(app.init()).rejects.toThrow('no database');
    gates.forEach((gate) => gate.resolve());
    await settle();
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'idle', children: [{ status: 'unknown' }] });
    expect(app.get(Idle).runs).toBe(0);
  });

  it('is passed on to whoever boots', async () => {
    class Broken implements OnApplicationBootstrap {
      onApplicationBootstrap(): void {
        throw new TypeError('not so');
      }
    }
    const error = await bootError({ imports: [WorkerModule], providers: [Idle, Broken] });
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe('not so');
  });
});

describe('close() before any bootstrap', () => {
  it('works, and nothing starts', async () => {
    const app = await createApp({ imports: [WorkerModule], providers: [Idle] });
    await app.close();
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'closed', children: [] });
    expect(app.get(Idle).runs).toBe(0);
  });
});

describe('close() during a slow bootstrap', () => {
  it.each(platforms)('of an app with %s works, and nothing starts', async (platform) => {
    const app = await createApp({ imports: [WorkerModule], providers: [Idle, SameModule] }, platform);
    const init = app.init();
    await reached('provider of the same module');
    const closed = app.close();
    await settle();
    gates.get('provider of the same module')?.resolve();
    await Promise.all([closed, init.catch(() => undefined)]);
    await settle();
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'closed', children: [{ status: 'unknown' }] });
    expect(app.get(Idle).runs).toBe(0);
  });

  it('of a standalone context, which Nest lets boot to its end first, leaves nothing running', async () => {
    const app = await Test.createTestingModule({
      imports: [WorkerModule],
      providers: [Idle, SameModule],
    }).compile();
    const init = app.init();
    await reached('provider of the same module');
    const closed = app.close();
    await settle();
    expect(app.get(Idle).runs).toBe(0);
    gates.get('provider of the same module')?.resolve();
    await Promise.all([init, closed]);
    const { status, children } = poolOf(app).snapshot();
    expect(status).toBe('closed');
    expect(['unknown', 'cancelled']).toContain(children[0]?.status);
    const { runs } = app.get(Idle);
    await settle();
    expect(app.get(Idle).runs).toBe(runs);
  });
});
