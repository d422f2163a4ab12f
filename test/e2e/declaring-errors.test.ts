import { Injectable, Scope } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { isWorkError, type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { bootContext, bootError, moduleNamed, poolOf, UntilAborted } from '../support/nest.js';

const imports = [WorkerModule];

const featureWith = (...providers: object[]) => ({
  imports: [WorkerModule, moduleNamed('FeatureModule', { providers: providers as never[] })],
});

describe('Booting is refused, with class, module and cure, for', () => {
  @Worker({ scope: undefined } as never)
  class Unused extends UntilAborted {}

  it('a request-scoped worker', async () => {
    @Injectable({ scope: Scope.REQUEST })
    @Worker()
    class PerRequest extends UntilAborted {}

    const error = await bootError(featureWith(PerRequest));
    expect(error).toMatchObject({ name: 'WorkerNotStaticError', code: 'WORKER_NOT_STATIC' });
    expect(error.message).toMatch(/^PerRequest in FeatureModule is request-scoped: .*Scope\.REQUEST/);
    expect(error.message).toMatch(/Remove the scope, or inject ModuleRef and resolve\(\)/);
  });

  it('a worker that injects something request-scoped', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class CurrentUser {}
    @Worker()
    class Bubbled extends UntilAborted {
      constructor(readonly user: CurrentUser) {
        super();
      }
    }
    const error = await bootError(featureWith(CurrentUser, Bubbled));
    expect(error).toMatchObject({ code: 'WORKER_NOT_STATIC' });
    expect(error.message).toMatch(
      /^Bubbled in FeatureModule is request-scoped: it, or something that it injects/,
    );
  });

  it('a transient worker', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    @Worker()
    class Fleeting extends UntilAborted {}

    const error = await bootError(featureWith(Fleeting));
    expect(error).toMatchObject({ code: 'WORKER_NOT_STATIC' });
    expect(error.message).toMatch(/^Fleeting in FeatureModule is transient: it has Scope\.TRANSIENT/);
  });

  it.each([
    ['useClass', Scope.REQUEST, 'request-scoped'],
    ['useClass', Scope.TRANSIENT, 'transient'],
    ['useFactory', Scope.REQUEST, 'request-scoped'],
    ['useFactory', Scope.TRANSIENT, 'transient'],
  ])('a worker provided by %s with scope %i', async (form, scope, word) => {
    @Worker()
    class Scoped extends UntilAborted {}
    const provider =
      form === 'useClass'
        ? { provide: Scoped, useClass: Scoped, scope }
        : { provide: Scoped, useFactory: () => new Scoped(), scope };
    const error = await bootError(featureWith(provider));
    expect(error).toMatchObject({ code: 'WORKER_NOT_STATIC' });
    expect(error.message).toContain(`Scoped in FeatureModule is ${word}`);
  });

  it('a class without run()', async () => {
    @Worker()
    class Lazy {}
    const error = await bootError(featureWith(Lazy));
    expect(error).toMatchObject({ name: 'WorkerWithoutRunError', code: 'WORKER_WITHOUT_RUN' });
    expect(error.message).toMatch(/^Lazy in FeatureModule is a worker but has no run\(\) method\. Add /);
  });

  it('two workers of one name', async () => {
    @Worker({ name: 'relay' })
    class One extends UntilAborted {}
    @Worker({ name: 'relay' })
    class Two extends UntilAborted {}
    const error = await bootError({
      imports: [...featureWith(One).imports, moduleNamed('OtherModule', { providers: [Two] })],
    });
    expect(error).toMatchObject({ name: 'DuplicateNameError', code: 'DUPLICATE_NAME' });
    expect(error.message).toMatch(/"relay": One in FeatureModule and Two in OtherModule\. Give one of them/);
  });

  it('one class provided in two modules', async () => {
    @Worker()
    class Relay extends UntilAborted {}
    const error = await bootError({
      imports: [...featureWith(Relay).imports, moduleNamed('OtherModule', { providers: [Relay] })],
    });
    expect(error).toMatchObject({ code: 'DUPLICATE_NAME' });
    expect(error.message).toMatch(/Relay in FeatureModule and Relay in OtherModule.*in one module only/);
  });

  it.each<[string, object, RegExp]>([
    ['timeout', { timeout: 'soon' }, /is 'soon', but accepted is a number of milliseconds or a string like/],
    ['deferredStart', { deferredStart: -1 }, /is -1, .*not negative/],
    ['maxAttempts', { maxAttempts: 0 }, /is 0, .*whole number of 1 or more, or Infinity/],
    ['restart', { restart: 'sometimes' }, /is 'sometimes', .*'on-failure', 'always', 'never'/],
    ['backoff.factor', { backoff: { factor: 0.5 } }, /is 0\.5, .*number of 1 or more\. Use 2 to double/],
    [
      'enabled',
      { enabled: 'false' },
      /is 'false', .*true or false\. A value from the environment is a string/,
    ],
    ['middlewares', { middlewares: [undefined] }, /list of functions .*Look for an undefined entry/],
    ['name', { name: ' ' }, /is ' ', .*a text that is not empty\. Name the worker/],
    [
      'stallTimeout',
      { timeout: '1s', stallTimeout: '2s' },
      /less than timeout, which is 1.*could never fire/,
    ],
    [
      'restartLimit',
      { maxAttempts: 3, restartLimit: { max: 5, window: '1m' } },
      /accepted is a max below .* set maxAttempts to Infinity, or remove restartLimit/,
    ],
    ['maxAtempts', { maxAtempts: 3 }, /one of the options .*maxAttempts.*Correct the name/],
  ])('a bad option: %s', async (option, options, words) => {
    @Worker(options)
    class Misfit extends UntilAborted {}
    const error = await bootError(featureWith(Misfit));
    expect(error).toMatchObject({ name: 'InvalidOptionError', code: 'INVALID_OPTION', option });
    expect(error.message).toContain(`Option "${option}" of worker "`);
    expect(error.message).toContain('(Misfit in FeatureModule)');
    expect(error.message).toMatch(words);
  });

  it('a bad option of the pool', async () => {
    const error = await bootError({ imports: [WorkerModule.forRoot({ shutdownTimeout: '3x' as '3s' })] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'shutdownTimeout' });
    expect(error.message).toMatch(/^Option "shutdownTimeout" of WorkerModule\.forRoot\(\) is '3x'/);
  });

  it('an unknown option of a worker, which is what a slip of the pen is', async () => {
    const error = await bootError(featureWith(Unused));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'scope' });
  });

  it('a contradiction between options of the pool', async () => {
    const error = await bootError({
      imports: [WorkerModule.forRoot({ shutdownTimeout: '5s', abortMargin: '6s' })],
    });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'abortMargin' });
  });
});

describe('A boot that is refused', () => {
  it('has started nothing', async () => {
    const good = new (class {
      runs = 0;
      async run(): Promise<void> {
        this.runs++;
      }
    })();
    @Worker({ name: 'good' })
    class Good {}
    @Worker({ timeout: -1 })
    class Bad extends UntilAborted {}
    const error = await bootError({ imports, providers: [{ provide: Good, useValue: good }, Bad] });
    expect(isWorkError(error, 'INVALID_OPTION')).toBe(true);
    expect(good.runs).toBe(0);
  });
});

describe('A scoped provider that a worker needs', () => {
  it('can be resolved inside run(), as the message says', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Buffer {}
    let resolved: unknown;
    @Worker()
    class Resolving implements RunnableWorker {
      constructor(readonly moduleRef: ModuleRef) {}
      async run(_ctx: WorkerContext): Promise<void> {
        resolved = await this.moduleRef.resolve(Buffer);
      }
    }
    const app = await bootContext({ imports, providers: [Buffer, Resolving] });
    await poolOf(app).stop();
    expect(resolved).toBeInstanceOf(Buffer);
  });
});
