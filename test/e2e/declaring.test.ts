import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bootContext, happened, moduleNamed, poolOf, UntilAborted, workerNames } from '../support/nest.js';

class Db {
  readonly rows: string[] = [];
}

@Worker()
class Relay implements RunnableWorker {
  constructor(readonly db: Db) {}

  async run(ctx: WorkerContext): Promise<void> {
    this.db.rows.push(ctx.name);
  }
}

@Worker({ name: 'idle' })
class Idle extends UntilAborted {}

const imports = [WorkerModule];

describe('@Worker()', () => {
  it('needs no @Injectable() for constructor injection', async () => {
    const app = await bootContext({ imports, providers: [Db, Relay] });
    await happened(app, 'succeeded');
    expect(app.get(Relay).db).toBe(app.get(Db));
    expect(app.get(Db).rows).toEqual(['Relay']);
  });

  it('works beside @Injectable()', async () => {
    @Injectable()
    @Worker()
    class Both extends UntilAborted {}

    const app = await bootContext({ imports, providers: [Both] });
    expect(workerNames(app)).toEqual(['Both']);
  });

  it('names a worker by its class, or by the name given', async () => {
    const app = await bootContext({ imports, providers: [Db, Relay, Idle] });
    expect(workerNames(app)).toEqual(['Relay', 'idle']);
  });

  it('says where each worker was declared', async () => {
    const feature = moduleNamed('FeatureModule', { providers: [Idle] });
    const app = await bootContext({ imports: [WorkerModule, feature] });
    expect(poolOf(app).registration('idle').origin).toBe('Idle in FeatureModule');
  });
});

describe('A worker is found', () => {
  it.each([
    ['class', Idle],
    ['useClass', { provide: 'IDLE', useClass: Idle }],
    ['useFactory', { provide: 'IDLE', useFactory: () => new Idle() }],
    ['async useFactory', { provide: 'IDLE', useFactory: async () => Promise.resolve(new Idle()) }],
    [
      'useFactory with inject',
      { provide: 'IDLE', inject: [Db], useFactory: (db: Db) => Object.assign(new Idle(), { db }) },
    ],
    ['useValue', { provide: 'IDLE', useValue: new Idle() }],
    ['useFactory under its class', { provide: Idle, useFactory: () => new Idle() }],
  ])('as %s', async (_form, provider) => {
    const app = await bootContext({ imports, providers: [Db, provider] });
    await happened(app, 'started');
    expect(poolOf(app).executions()).toMatchObject([{ name: 'idle', status: 'running' }]);
  });

  it('in any module, whether that imports WorkerModule or not', async () => {
    const deep = moduleNamed('DeepModule', { providers: [Idle] });
    const middle = moduleNamed('MiddleModule', { imports: [deep] });
    const app = await bootContext({ imports: [middle, WorkerModule], providers: [Db, Relay] });
    expect(workerNames(app).toSorted()).toEqual(['Relay', 'idle']);
  });

  it('where the module class is the worker', async () => {
    @Module({ imports })
    @Worker({ name: 'module-worker' })
    class WorkingModule extends UntilAborted {}

    const app = await bootContext(WorkingModule);
    await happened(app, 'started');
    expect(workerNames(app)).toEqual(['module-worker']);
  });
});

describe('A worker that a test overrides', () => {
  class Fake implements RunnableWorker {
    seen: string[] = [];
    async run(ctx: WorkerContext): Promise<void> {
      this.seen.push(ctx.name);
    }
  }

  const builder = () => Test.createTestingModule({ imports, providers: [Idle] });

  it.each([
    ['useClass', () => builder().overrideProvider(Idle).useClass(Fake)],
    ['useValue', () => builder().overrideProvider(Idle).useValue(new Fake())],
    [
      'useFactory',
      () =>
        builder()
          .overrideProvider(Idle)
          .useFactory({ factory: () => new Fake() }),
    ],
  ])('with %s keeps its name and runs the fake', async (_form, overridden) => {
    const app = await overridden().compile();
    onTestFinished(() => app.close());
    await app.init();
    await happened(app, 'succeeded', 'idle');
    expect(workerNames(app)).toEqual(['idle']);
    expect(app.get<Fake>(Idle).seen).toEqual(['idle']);
  });

  it('with null is none', async () => {
    const app = await builder().overrideProvider(Idle).useValue(null).compile();
    onTestFinished(() => app.close());
    await app.init();
    expect(workerNames(app)).toEqual([]);
  });

  it('with a value of plain functions runs those', async () => {
    const ran: string[] = [];
    const app = await builder()
      .overrideProvider(Idle)
      .useValue({ run: async (ctx: WorkerContext) => ran.push(ctx.name) })
      .compile();
    onTestFinished(() => app.close());
    await app.init();
    await happened(app, 'succeeded');
    expect(ran).toEqual(['idle']);
  });
});

describe('Not a second worker, or none at all, is', () => {
  it('an alias', async () => {
    const app = await bootContext({
      imports,
      providers: [Idle, { provide: 'ALIAS', useExisting: Idle }],
    });
    await happened(app, 'started');
    expect(workerNames(app)).toEqual(['idle']);
    expect(app.get<Idle>('ALIAS').runs).toBe(1);
  });

  it('the same instance under two tokens', async () => {
    const idle = new Idle();
    const app = await bootContext({
      imports,
      providers: [
        { provide: 'ONE', useValue: idle },
        { provide: 'TWO', useFactory: () => idle },
      ],
    });
    await happened(app, 'started');
    expect(workerNames(app)).toEqual(['idle']);
    expect(idle.runs).toBe(1);
  });

  it('an undecorated subclass', async () => {
    class Quiet extends Idle {}
    const app = await bootContext({ imports, providers: [Quiet] });
    expect(workerNames(app)).toEqual([]);
  });

  it('a decorated subclass together with its base: it has its own options', async () => {
    @Worker({ name: 'busy', maxAttempts: 3 })
    class Busy extends Idle {}
    const app = await bootContext({ imports, providers: [Busy] });
    expect(poolOf(app).executions()).toMatchObject([{ name: 'busy', maxAttempts: 3 }]);
  });

  it.each([
    ['null', null],
    ['undefined', undefined],
    ['a null-prototype object', Object.create(null) as object],
    ['a text', 'worker'],
    ['a frozen object', Object.freeze({ run: () => undefined })],
  ])('a value provider that is %s; nothing breaks', async (_what, useValue) => {
    const app = await bootContext({ imports, providers: [{ provide: 'ODD', useValue }, Idle] });
    await happened(app, 'started');
    expect(workerNames(app)).toEqual(['idle']);
    await app.close();
    expect(poolOf(app).execution('idle').status).toBe('cancelled');
  });
});

describe('The order of workers', () => {
  it('is that of declaration, also where an earlier one injects a later one (Y7)', async () => {
    const started: string[] = [];
    class Noting extends UntilAborted {
      override async run(ctx: WorkerContext): Promise<void> {
        started.push(ctx.name);
        await super.run(ctx);
      }
    }
    @Worker()
    class Third extends Noting {}
    @Worker()
    class Second extends Noting {
      constructor(readonly third: Third) {
        super();
      }
    }
    @Worker()
    class First extends Noting {
      constructor(readonly second: Second) {
        super();
      }
    }
    const slow = { provide: 'SLOW', useFactory: async () => new Promise((done) => setImmediate(done)) };
    for (let boot = 0; boot < 20; boot++) {
      const app = await bootContext({ imports, providers: [slow, First, Second, Third] });
      await happened(app, 'started', 'Third');
      expect(started.splice(0)).toEqual(['First', 'Second', 'Third']);
      expect(workerNames(app)).toEqual(['First', 'Second', 'Third']);
      await app.close();
    }
  });

  it('is the same at each boot across modules', async () => {
    @Worker()
    class InRoot extends UntilAborted {}
    @Worker()
    class InA extends UntilAborted {}
    @Worker()
    class InB extends UntilAborted {}
    const a = moduleNamed('AModule', { providers: [InA] });
    const b = moduleNamed('BModule', { providers: [InB] });
    for (let boot = 0; boot < 5; boot++) {
      const app = await bootContext({ imports: [WorkerModule, a, b], providers: [InRoot] });
      expect(workerNames(app)).toEqual(['InRoot', 'InA', 'InB']);
      await app.close();
    }
  });
});
