import { createContext, runInContext } from 'node:vm';
import * as fc from 'fast-check';
import { WorkerStuckError } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { toErrorInfo } from '../../lib/events/index.js';

describe('toErrorInfo', () => {
  it('keeps name, message, stack and code of an error', () => {
    const error = Object.assign(new RangeError('too far'), { code: 'E_FAR' });
    expect(toErrorInfo(error)).toEqual({
      name: 'RangeError',
      message: 'too far',
      stack: error.stack,
      code: 'E_FAR',
    });
    expect(toErrorInfo(new WorkerStuckError('a', 'id')).code).toBe('WORKER_STUCK');
    expect(toErrorInfo(Object.assign(new Error('x'), { code: 42 })).code).toBe('42');
  });

  it('leaves out what an error does not have', () => {
    const error = new Error('bare');
    delete error.stack;
    expect(toErrorInfo(error)).toEqual({ name: 'Error', message: 'bare' });
  });

  it.each([
    ['text', 'text'],
    [42, '42'],
    [undefined, 'undefined'],
    [null, 'null'],
    [{ status: 503 }, '{ status: 503 }'],
    [Symbol('x'), 'Symbol(x)'],
  ])('prints %o, which is no error', (thrown, message) => {
    expect(toErrorInfo(thrown)).toEqual({ name: 'NonError', message });
  });

  it('knows an error of another realm', () => {
    const thrown: unknown = runInContext('new TypeError("elsewhere")', createContext());
    expect(thrown).not.toBeInstanceOf(Error);
    expect(toErrorInfo(thrown)).toMatchObject({ name: 'TypeError', message: 'elsewhere' });
  });

  it('survives a value that throws when it is looked at', () => {
    const hostile = {
      get message(): string {
        throw new Error('no');
      },
      stack: '',
    };
    expect(toErrorInfo(hostile).message).toBe('a value that throws when it is read');
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    expect(toErrorInfo(revoked.proxy).name).toBe('NonError');
  });

  it('answers frozen plain data for anything', () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const info = toErrorInfo(thrown);
        expect(Object.isFrozen(info)).toBe(true);
        expect(typeof info.message).toBe('string');
        expect(structuredClone(info)).toEqual(info);
      }),
    );
  });
});

describe('the cause of an error', () => {
  it('is kept, since it is often the only word on why a fetch failed', () => {
    const socket = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });
    const info = toErrorInfo(new TypeError('fetch failed', { cause: socket }));
    expect(info.cause).toMatchObject({ message: 'other side closed', code: 'UND_ERR_SOCKET' });
    expect(Object.isFrozen(info.cause)).toBe(true);
  });

  it('is followed four deep, also where it leads back to itself', () => {
    const endless = new Error('endless');
    endless.cause = endless;
    let depth = 0;
    for (let info = toErrorInfo(endless).cause; info !== undefined; info = info.cause) depth++;
    expect(depth).toBe(4);
  });
});
