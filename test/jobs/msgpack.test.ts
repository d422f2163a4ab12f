import { decode } from '@msgpack/msgpack';
import { expect, it } from 'vitest';
import { fromMsgpack, toMsgpack } from '../../lib/jobs/msgpack.js';

it('gives each value bytes of its own', () => {
  const first = toMsgpack({ to: 'a' });
  const second = toMsgpack({ to: 'b' });
  expect(decode(first)).toEqual({ to: 'a' });
  expect(decode(second)).toEqual({ to: 'b' });
  expect(first.buffer).not.toBe(second.buffer);
  expect(first.buffer.byteLength).toBe(first.length);
});

it('may be asked again while it is at work', () => {
  let inner: Uint8Array | undefined;
  const outer = toMsgpack({
    before: 'x'.repeat(50),
    get asked() {
      inner = toMsgpack({ inner: true });
      return fromMsgpack(inner);
    },
    after: 'y'.repeat(50),
  });
  expect(decode(outer)).toEqual({ before: 'x'.repeat(50), asked: { inner: true }, after: 'y'.repeat(50) });
  expect(decode(inner!)).toEqual({ inner: true });
});

it('is none the worse for what it could not do', () => {
  expect(() => toMsgpack({ a: 1, fails: () => {} })).toThrow(/Unrecognized object/);
  expect(() => fromMsgpack(Uint8Array.of(0x92, 1))).toThrow(/Insufficient data|Offset is outside/);
  expect(() => fromMsgpack(Uint8Array.of(1, 2))).toThrow(/Extra 1/);
  expect(fromMsgpack(toMsgpack([1, 'two', { three: 3 }]))).toEqual([1, 'two', { three: 3 }]);
});

it('lets go of the room that a large value took', async () => {
  const inUse = async (): Promise<number> => {
    for (let turn = 0; turn < 3; turn++) {
      globalThis.gc!();
      await new Promise(setImmediate);
    }
    return process.memoryUsage().arrayBuffers;
  };
  const before = await inUse();
  const large = toMsgpack('x'.repeat(8 * 1024 * 1024));
  expect(large.length).toBe(8 * 1024 * 1024 + 5);
  expect((await inUse()) - before - large.byteLength).toBeLessThan(4 * 1024 * 1024);
});
