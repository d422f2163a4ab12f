import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { requireFreshBuild } from '../../support/dist.js';
import { Program } from '../../support/program.js';
import { RedisServer } from '../../support/redis.js';
import { repository } from '../../support/repository.js';

let redis: RedisServer;
let folder: string;
const queue = 'emails';

beforeAll(async () => {
  requireFreshBuild();
  // Inside of the package's own folder, so that `nestjs-worker` is found by its name, through its exports.
  folder = mkdtempSync(`${repository}dist/test-drain-`);
  redis = await RedisServer.start();
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await redis?.stop();
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text.replaceAll('URL', JSON.stringify(redis.url)));
  return path;
}

/** A client of a user's own is nobody's to close but the user's. */
const oldBackend = (): string =>
  file(
    'old-backend.mjs',
    `import { Redis } from 'ioredis';
    import { RedisJobBackend } from 'nestjs-worker/redis';
    const client = new Redis(URL, { lazyConnect: false });
    export default new RedisJobBackend({ client, namespace: 'old' });`,
  );
const newBackend = (): string =>
  file(
    'new-backend.cjs',
    `const { BullMqJobBackend } = require('nestjs-worker/bullmq');
    module.exports = new BullMqJobBackend({ redis: URL });`,
  );

function command(): Program {
  const files = ['--from', oldBackend(), '--to', newBackend()];
  const args = [
    `${repository}dist/esm/bin.js`,
    'drain',
    ...files,
    '--queue',
    queue,
    '--wait',
    '1m',
    '--json',
  ];
  const program = new Program(process.execPath, args, { NODE_OPTIONS: '' });
  onTestFinished(() => program.stop());
  return program;
}

async function old(act: (backend: RedisJobBackend) => Promise<void>): Promise<void> {
  const backend = new RedisJobBackend({ url: redis.url, namespace: 'old' });
  try {
    await backend.open({
      onRevoked: () => {},
      onConnection: () => {},
      warn: () => {},
      setTimer: (callback, delayMs) => {
        const timer = setTimeout(callback, delayMs);
        return () => clearTimeout(timer);
      },
    });
    await act(backend);
  } finally {
    await backend.close();
  }
}

describe('the command as it is built', () => {
  it('is stopped while it waits, goes on when it is run again, and ends though a module holds a connection', async () => {
    await old(async (backend) => {
      const jobs = Array.from({ length: 3 }, (_, at) => ({
        id: `job-${at}`,
        queue,
        name: '',
        payload: undefined,
        due: { inMs: 0 },
        priority: 0,
      }));
      await backend.enqueue(jobs);
      const { signal } = new AbortController();
      const held = await backend.claim(queue, { limit: 1, prefetch: 0, leaseMs: 60_000, waitMs: 0, signal });
      expect(held).toHaveLength(1);

      const stopped = command();
      await vi.waitUntil(
        () => stopped.stderr.some((line) => line.includes('1 are still being run')) || !stopped.running,
        {
          timeout: 10_000,
          interval: 10,
        },
      );
      stopped.signal('SIGINT');
      expect({ code: await stopped.ended, stdout: stopped.stdout }).toEqual({ code: 1, stdout: [] });
      expect(stopped.stderr).toContain('It was stopped.');

      await backend.settle(queue, [{ kind: 'released', job: held[0]! }]);
    });

    const again = command();
    expect({ code: await again.ended, stderr: again.stderr }).toMatchObject({ code: 0 });
    expect(again.stdout.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ queue, moved: 1 }]);
  });
});
