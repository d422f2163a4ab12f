import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { compileFixtures, type FixtureProcess, startProgram } from '../../support/run-fixture.js';
import { SomeRedis } from './some-redis.js';

const redis = new SomeRedis();

const start = (name: string, options: object): FixtureProcess =>
  startProgram(join(compileFixtures('test/integrations/redis/programs'), `${name}.js`), options);

it.each(['esm', 'cjs'])(
  'the thread works in a process of its own, and holds nothing open: %s',
  async (format) => {
    const { namespace } = await redis.handle();
    const program = start('blocked', { url: redis.server.url, namespace, format });
    await program.line('closed');
    const { code, afterMs } = await program.exit();
    expect(program.lines).toEqual(['claimed again: 0', 'accepted: true', 'closed']);
    expect(code).toBe(0);
    expect(afterMs).toBeLessThan(2_000);
  },
  20_000,
);

it('the thread of an idle consumer holds no process open', async () => {
  const { namespace } = await redis.handle();
  const program = start('idle', { url: redis.server.url, namespace });
  await program.line('idle');
  const { code, afterMs } = await program.exit();
  expect(program.lines).toEqual(['idle']);
  expect(code).toBe(0);
  expect(afterMs).toBeLessThan(2_000);
}, 20_000);

it('10000 jobs that two processes claim are each had by one', async () => {
  const handle = await redis.handle();
  const programs = [1, 2].map(() => start('drain', { url: redis.server.url, namespace: handle.namespace }));
  const waiting = async (): Promise<number> =>
    Number((await redis.client.pubsub('NUMSUB', handle.keyOf('wake')))[1]);
  await vi.waitUntil(async () => (await waiting()) === 2, { timeout: 20_000 });
  // All are there before any is claimed: whoever finds nothing left ends.
  await handle.backend.pause('mail', true);
  const ids = await handle.add(...Array.from({ length: 10_000 }, () => ({})));
  await handle.backend.pause('mail', false);
  const had = await Promise.all(
    programs.map(async (program) => {
      const line = await program.line('had');
      await program.exit();
      return line.split(' ').slice(1);
    }),
  );
  expect(had.every((some) => some.length > 0)).toBe(true);
  expect(had.flat()).toHaveLength(ids.length);
  expect(had.flat().toSorted()).toEqual(ids);
}, 60_000);
