import { MessageChannel, threadId } from 'node:worker_threads';
import { isWorkError, type TaskContext, TaskQueue } from 'nestjs-worker';
import { createThreads, inThread } from 'nestjs-worker/threads';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../support/recording-logger.js';
import { calls, failureOf, sharedNumbers, someQueue } from './threads.js';

const common = new URL('fixtures/common.cjs', import.meta.url);
const broken = new URL('fixtures/broken.mjs', import.meta.url);
const empty = new URL('fixtures/empty.mjs', import.meta.url);

describe('inThread()', () => {
  const queue = new TaskQueue({ logger: silentLogger });

  it('calls the default export with a copy of the input in another thread', async () => {
    const input = { path: 'a.png', sizes: new Map([['small', 1n]]) };
    const { echoed, threadId: other } = await queue.enqueue(
      inThread<{ echoed: unknown; threadId: number }>(calls, input),
    ).done;

    expect(echoed).toEqual(input);
    expect(echoed).not.toBe(input);
    expect(other).not.toBe(threadId);
  });

  it('calls a named export, waits for its promise, and needs no input', async () => {
    expect(await queue.enqueue(inThread(calls, 21, { export: 'double' })).done).toBe(42);
    expect(await queue.enqueue(inThread(calls)).done).toMatchObject({ echoed: undefined });
  });

  it('calls what a CommonJS module is, or a property of that', async () => {
    expect(await queue.enqueue(inThread(common, 'Ada')).done).toBe('hello Ada');
    expect(await queue.enqueue(inThread(common, 'Ada', { export: 'shout' })).done).toBe('HELLO Ada');
  });

  it('takes a URL, its text, or an absolute path', async () => {
    for (const file of [calls, calls.href, calls.pathname])
      expect(await queue.enqueue(inThread(file, 1, { export: 'double' })).done).toBe(2);
  });

  it('is named after the file and the export, unless the task is given a name', () => {
    expect(inThread(calls).name).toBe('calls');
    expect(inThread(calls, 1, { export: 'double' }).name).toBe('calls.double');
    expect(queue.enqueue(inThread(calls)).name).toBe('calls');
    expect(queue.enqueue(inThread(calls), { name: 'resize' }).name).toBe('resize');
  });

  it('can be called by a task of one’s own', async () => {
    const task = queue.enqueue(async (ctx: TaskContext) => {
      const half = await inThread<number>(calls, 10, { export: 'double' })(ctx);
      return half + 1;
    });
    expect(await task.done).toBe(21);
  });
});

describe('What cannot be meant is refused at once', () => {
  const refusal = { code: 'INVALID_OPTION' };

  it.each([
    ['a relative path', './calls.mjs'],
    ['a URL that is none of a file', new URL('https://example.org/calls.mjs')],
    ['a file: URL of another host', 'file://host/calls.mjs'],
    ['nothing', undefined as unknown as string],
    ['a number', 7 as unknown as string],
  ])('%s', (_what, file) => {
    expect(() => inThread(file)).toThrow(
      expect.objectContaining({
        ...refusal,
        option: 'file',
        message: expect.stringContaining('a file: URL or an absolute path') as unknown,
      }),
    );
  });

  it.each([
    ['a file that is not there', new URL('fixtures/missing.mjs', import.meta.url)],
    ['a folder', new URL('fixtures', import.meta.url)],
  ])('%s, by its path', (_what, file) => {
    expect(() => inThread(file)).toThrow(
      expect.objectContaining({ ...refusal, message: expect.stringContaining(file.pathname) as unknown }),
    );
  });

  it.each([
    ['export', { export: '' }],
    ['transfer', { transfer: new ArrayBuffer(1) as never }],
    ['exports', { exports: 'x' } as never],
  ])('the option %s', (option, options) => {
    expect(() => inThread(calls, 1, options)).toThrow(expect.objectContaining({ ...refusal, option }));
  });

  it.each([
    ['maxThreads', { maxThreads: 0 }],
    ['idleTimeout', { idleTimeout: -1 }],
    ['resourceLimits', { resourceLimits: 5 as never }],
    ['resourceLimits.stackSizeMb', { resourceLimits: { stackSizeMb: 0 } }],
    ['resourceLimits.heap', { resourceLimits: { heap: 1 } as never }],
    ['threads', { threads: 1 } as never],
  ])('the option %s of createThreads()', (option, options) => {
    expect(() => createThreads(options)).toThrow(expect.objectContaining({ ...refusal, option }));
  });
});

describe('A call that fails', () => {
  it('rejects with the error of the thread: its message, name, stack and cause', async () => {
    const error = await failureOf(someQueue().call('fail').done);
    expect(error).toMatchObject({ message: 'none left', name: 'OutOfStock' });
    expect(error.stack).toMatch(/^OutOfStock: none left\n {4}at fail \(.*calls\.mjs/);
    expect(error.cause).toBeInstanceOf(RangeError);
  });

  it('is tried again as the task says', async () => {
    const { clock, call } = someQueue();
    const task = call<number>('failTwice', sharedNumbers(), { maxAttempts: 3 });
    while (task.status !== 'success') await clock.advance('1s');
    expect(await task.done).toBe(3);
    expect(task.attempts).toBe(3);
  });

  it('rejects with the last error once it is out of attempts', async () => {
    const { call } = someQueue();
    const task = call('failTwice', sharedNumbers(), { maxAttempts: 2, backoff: () => 0 });
    expect(await failureOf(task.done)).toMatchObject({ message: 'attempt 2' });
  });

  it('is not tried again where the error is named DiscardError', async () => {
    const task = someQueue().call('discard', undefined, { maxAttempts: 5 });
    const error = await failureOf(task.done);
    expect(isWorkError(error, 'DISCARD')).toBe(true);
    expect(error.message).toBe('never again');
    expect((error.cause as Error).stack).toContain('calls.mjs');
    expect(task.attempts).toBe(1);
  });

  it('for a module that does not load rejects with why', async () => {
    const { queue, threads } = someQueue();
    expect(await failureOf(queue.enqueue(threads.inThread(broken)).done)).toMatchObject({
      message: 'does not load',
    });
  });

  it.each([
    [calls, 'nothing', 'calls.mjs exports no function "nothing"'],
    [empty, 'default', 'empty.mjs exports no function as its default export'],
    [empty, 'notFunction', 'empty.mjs exports no function "notFunction"'],
  ])('for an export that is not there says which, once (%s %s)', async (file, name, text) => {
    const { queue, threads } = someQueue();
    const task = queue.enqueue(threads.inThread(file, 1, { export: name }), {
      maxAttempts: Infinity,
      backoff: 'none',
    });
    const error = await failureOf(task.done);
    expect(error).toMatchObject({ code: 'DISCARD', message: expect.stringContaining(text) as unknown });
    expect(task.attempts).toBe(1);
  });

  it('for an input that cannot be copied says so, once, and the thread serves the next', async () => {
    const { call } = someQueue();
    const task = call('double', { port: () => 1 }, { maxAttempts: Infinity, backoff: 'none' });
    const error = await failureOf(task.done);
    expect(error).toMatchObject({
      code: 'DISCARD',
      message: expect.stringContaining('"calls.double" cannot be copied between threads (') as unknown,
      cause: { name: 'DataCloneError' },
    });
    expect(task.attempts).toBe(1);
    expect(await call('double', 4).done).toBe(8);
  });

  it('for a result that cannot be copied says so, and the thread is replaced', async () => {
    const { call } = someQueue();
    expect((await failureOf(call('returnFunction').done)).message).toMatch(/"calls.returnFunction" .*cop/);
    expect(await call('double', 4).done).toBe(8);
  });

  it('with what is no error, or cannot be copied, fails all the same', async () => {
    const { call } = someQueue();
    await expect(call('rejectWithText').done).rejects.toBe('only a text');
    expect((await failureOf(call('throwDomException').done)).message).not.toBe('');
  });
});

describe('The option transfer', () => {
  it('moves what it lists', async () => {
    const bytes = new Uint8Array([1, 2, 3]).buffer;
    expect(await someQueue().call('sum', bytes, {}, { transfer: [bytes] }).done).toBe(6);
    expect(bytes.byteLength).toBe(0);
  });

  it('copies bytes while there may be another attempt, which would need them again', async () => {
    const { call } = someQueue();
    const bytes = new Uint8Array([1, 2, 3]).buffer;
    const input = { bytes, counter: sharedNumbers() };
    const task = call('failWithBytes', input, { maxAttempts: 3, backoff: () => 0 }, { transfer: [bytes] });
    expect(await task.done).toBe(6);
    expect(task.attempts).toBe(3);
    expect(bytes.byteLength).toBe(0);
  });

  it('moves a port, once: a second attempt says that it is gone', async () => {
    const { call } = someQueue();
    const { port1, port2 } = new MessageChannel();
    port1.once('message', (question: string) => port1.postMessage(`${question} me`));
    const task = call('askThrough', port2, {}, { transfer: [port2] });
    expect(await task.done).toBe('who? me');
    port1.close();
    const again = call('askThrough', port2, { maxAttempts: 9 }, { transfer: [port2] });
    expect(await failureOf(again.done)).toMatchObject({ code: 'DISCARD' });
  });
});
