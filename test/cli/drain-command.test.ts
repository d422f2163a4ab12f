import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobBackend } from 'nestjs-worker';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { jsonCodec, msgpackCodec } from '../../lib/jobs/payload-codec.js';
import { around, queue, TwoStores } from '../jobs/drain-jobs-backends.js';
import { type CliRun, runCli } from './run-cli.js';

const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-drain-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const given = globalThis as unknown as { backends: Record<string, JobBackend> };
let files = 0;
let stores: TwoStores;

/** As if it were on a server somewhere. */
const shared = (backend: JobBackend, calls: Parameters<typeof around>[1] = {}): JobBackend =>
  around(backend, calls, { ...backend.capabilities, shared: true });

beforeEach(() => {
  stores = new TwoStores();
  given.backends = { from: shared(stores.from), to: shared(stores.to) };
});

function setBackend(side: 'from' | 'to', calls: Parameters<typeof around>[1]): void {
  given.backends[side] = shared(stores[side], calls);
}

/** A module of a user; answers its name. */
function file(text: string, ending = 'mjs'): string {
  const name = `backend-${++files}.${ending}`;
  writeFileSync(join(folder, name), text);
  return `./${name}`;
}

const backendFile = (side: string): string => file(`export default globalThis.backends.${side};`);

const run = (args: readonly string[], signal?: AbortSignal): Promise<CliRun> =>
  runCli(['drain', ...args], { cwd: folder, ...(signal && { signal }) });

const drain = (...args: string[]): Promise<CliRun> =>
  run(['--from', backendFile('from'), '--to', backendFile('to'), '--queue', queue, ...args]);

describe('nestjs-worker drain', () => {
  it('moves the jobs, and prints a table', async () => {
    await stores.addMany(12);
    await stores.add({ queue: 'reports' });

    expect(await drain('--queue', 'reports')).toEqual({
      exitCode: 0,
      stdout: [
        'queue    moved  there before  active  duplicate  unreadable  refused  undeleted  late  dead',
        'emails      12             0       0          0           0        0          0     0     0',
        'reports      1             0       0          0           0        0          0     0     0',
        '',
      ].join('\n'),
      stderr: 'emails: 12 moved\n',
    });
    expect(await stores.counts(stores.to)).toMatchObject({ ready: 12 });
    expect(await stores.counts()).toMatchObject({ ready: 0, paused: true });
  });

  it('says what is left and why, and fails', async () => {
    await stores.add({ unique: { key: 'user-1' } }, stores.to);
    const held = await stores.add({ unique: { key: 'user-1' } });
    await stores.add({ id: 'broken', payload: Uint8Array.of(0xc1) });
    await stores.add({ due: { at: 0 } });
    await stores.kill();

    const { exitCode, stdout, stderr } = await drain('--to-format', 'json', '--json');

    expect(exitCode).toBe(1);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      {
        queue,
        moved: 0,
        alreadyThere: 0,
        left: { active: 0, duplicate: 1, unreadable: 1, refused: 0, undeleted: 0, late: 0, dead: 1 },
        leftJobs: [
          { id: 'broken', why: 'unreadable', reason: expect.stringContaining('msgpack') as string },
          { id: held, why: 'duplicate', reason: 'job job-00001 holds its unique key at the target' },
        ],
      },
    ]);
    const lines = stderr.split('\n');
    expect(lines).toContain(`  ${held}: job job-00001 holds its unique key at the target`);
    expect(lines.filter((line) => line.includes('left at the source'))).toEqual([
      expect.stringMatching(
        /^emails: 1 left at the source, with a unique key .* --duplicates, which .* whose ttl was over here\.$/,
      ),
      expect.stringMatching(/^emails: 1 left at the source, with a payload that cannot be carried over/),
      expect.stringMatching(/^emails: 1 left at the source, dead: --dead moves them, too\.$/),
    ]);
  });

  it('does not fail for dead jobs that nobody has asked for, and moves those that somebody has', async () => {
    await stores.add();
    const dead = await stores.kill();
    expect(await drain()).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('--dead') as string });
    expect(await drain('--dead')).toMatchObject({ exitCode: 0 });
    expect(await stores.idsAt(stores.to)).toEqual([dead]);
  });

  it('hands on every option', async () => {
    await stores.add({ unique: { key: 'user-1' } }, stores.to);
    const held = await stores.add({
      unique: { key: 'user-1' },
      payload: new TextEncoder().encode('{"a":1}'),
    });
    const dry = ['--dry-run', '--from-format', 'json', '--json'];
    expect(JSON.parse((await drain(...dry)).stdout)).toMatchObject({ moved: 1 });
    expect(await stores.counts()).toMatchObject({ ready: 1, paused: false });

    const told = await drain(
      '--duplicates',
      '--from-format',
      'json',
      '--to-format',
      'msgpack',
      '--wait',
      '0s',
    );
    expect(told.exitCode).toBe(0);
    expect(msgpackCodec.decode((await stores.stored(held)).payload)).toEqual({ a: 1 });
  });

  it('moves jobs whose ttl was over, of which more than one has the key, with --duplicates', async () => {
    for (let at = 0; at < 3; at++) {
      await stores.add({ unique: { key: 'user-1', ttlMs: 1_000 } });
      await stores.clock.advance('1s');
    }
    const { exitCode, stderr } = await drain();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /2 left at the source, .* --duplicates, which those need whose ttl was over here\.\n/,
    );
    expect(await drain('--duplicates')).toMatchObject({ exitCode: 0 });
    expect(await stores.counts(stores.to)).toMatchObject({ ready: 3 });
  });

  it('says what to do with jobs of flows and schedulers, and not to delete them', async () => {
    const origins = ['flow', 'scheduler'] as const;
    await stores.addMany(2);
    setBackend('from', {
      list: async (list) => {
        const { jobs, cursor } = await list();
        return { jobs: jobs.map((job, at) => Object.assign(job, { origin: origins[at] })), cursor };
      },
    });
    const { exitCode, stderr } = await drain();
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /2 left at the source, not to be moved as they are\.\n.*flow.*\n.*removeJobScheduler/,
    );
    expect(stderr).not.toContain('delete');
  });

  it('waits for as long as it takes', async () => {
    await stores.add();
    const job = await stores.claim();
    setBackend('from', { counts: async (counts) => (await stores.complete(job), counts()) });
    expect(await drain('--wait', 'Infinity')).toMatchObject({ exitCode: 0 });
    expect(await drain('--wait', 'infinity')).toMatchObject({ exitCode: 2 });
  });

  it('says with what it exits', async () => {
    const { stdout } = await run(['--help']);
    expect(stdout).toMatch(
      /Exits with 1 where .*\bwith 2, and with nothing done, .*\n.* paused at the target\.\n/,
    );
    expect(stdout).toMatch(/--wait <duration> .* Infinity/);
  });

  it('waits no longer than it is told to, and names what is still being run', async () => {
    await stores.add();
    await stores.claim();
    const { exitCode, stderr } = await drain('--wait', '10ms');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^emails: 0 moved, 1 are still being run\nemails: 1 left at the source, still being run/,
    );
  });

  it('says so when it is stopped', async () => {
    await stores.addMany(3);
    const stop = new AbortController();
    given.backends['to'] = shared(stores.to, { open: (open) => (stop.abort(), open()) });
    const args = ['--from', backendFile('from'), '--to', backendFile('to'), '--queue', queue];
    expect(await run(args, stop.signal)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'It was stopped.\n',
    });
    expect(await stores.counts()).toMatchObject({ ready: 3, paused: false });
    expect(await drain()).toMatchObject({ exitCode: 0 });
    expect(await stores.counts(stores.to)).toMatchObject({ ready: 3 });
  });

  it.each<[args: string[], then: string]>([
    [[], 'emails: 3 moved\nIt was stopped.\nWhat was moved is moved. Run the same command again to go on.\n'],
    [['--dry-run'], 'emails: 3 would be moved\nIt was stopped.\n'],
  ])('says how to go on where something was moved: %j', async (given, stderr) => {
    await stores.addMany(3);
    const stop = new AbortController();
    setBackend('from', {
      list: (run, [, { state }]) => (state === 'scheduled' && stop.abort(), run()),
    });
    const args = ['--from', backendFile('from'), '--to', backendFile('to'), '--queue', queue, ...given];
    expect(await run(args, stop.signal)).toEqual({ exitCode: 1, stdout: '', stderr });
  });

  it('says so when a backend fails, and tells what it warns of', async () => {
    given.backends['to'] = shared(stores.to, {
      open: (open, [host]) => (host.warn('jobs may be evicted'), open()),
      counts: () => Promise.reject(new Error('connection lost')),
    });
    expect(await drain()).toEqual({
      exitCode: 1,
      stdout: '',
      stderr:
        'jobs may be evicted\nThe job backend "memory" did not tell how queues stand: connection lost.\n',
    });
  });
});

describe('nestjs-worker drain --dry-run', () => {
  it('says what would be moved and what would be left, and never that something was', async () => {
    await stores.addMany(2);
    const there = await stores.add();
    await stores.add({ id: there, payload: jsonCodec.encode(3) }, stores.to);
    await stores.add({ id: 'broken', payload: Uint8Array.of(0xc1) });
    await stores.add({ due: { at: 0 } });
    await stores.kill();

    const { exitCode, stdout, stderr } = await drain('--dry-run', '--to-format', 'json');

    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^queue +would be moved +there before +active/);
    expect(stdout).toMatch(/\nemails +2 +1 +0 /);
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toBe('emails: 3 would be moved');
    expect(lines.filter((line) => line.includes('left'))).toEqual([
      expect.stringMatching(/^emails: 1 would be left at the source, with a payload/),
      expect.stringMatching(/^emails: 1 would be left at the source, dead/),
    ]);
    expect(`${stdout}${stderr}`.replaceAll('would be moved', '')).not.toMatch(/\bmoved\b/);
  });

  it('refuses what the run itself would refuse', async () => {
    await stores.to.pause(queue, true);
    for (const args of [[], ['--dry-run']]) {
      const { exitCode, stderr } = await drain(...args);
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/^Option --to of drainJobs\(\) .* in which queue "emails" is not paused/);
    }
  });
});

describe('nestjs-worker drain, given files', () => {
  it.each<[what: string, text: string, ending: string]>([
    ['an ES module', 'export default globalThis.backends.from', 'mjs'],
    ['a CommonJS module', 'module.exports = globalThis.backends.from', 'cjs'],
    [
      'a CommonJS module that was compiled',
      'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = globalThis.backends.from',
      'cjs',
    ],
  ])('takes %s', async (_, text, ending) => {
    const id = await stores.add();
    const args = ['--from', file(text, ending), '--to', backendFile('to'), '--queue', queue];
    expect(await run(args)).toMatchObject({ exitCode: 0 });
    expect(await stores.idsAt(stores.to)).toEqual([id]);
  });

  it('takes an absolute path', async () => {
    const from = join(folder, backendFile('from'));
    expect(await run(['--from', from, '--to', backendFile('to'), '--queue', queue])).toMatchObject({
      exitCode: 0,
    });
  });

  const good = (): string => backendFile('to');
  it.each<[what: string, args: () => string[], why: RegExp]>([
    ['nothing', () => [], /^Missing: --from, --to, --queue\./],
    ['no queue', () => ['--from', good(), '--to', good()], /^Missing: --queue\./],
    [
      'an empty queue',
      () => ['--from', good(), '--to', backendFile('from'), '--queue='],
      /^Option --queue of drain/,
    ],
    ['an unknown option', () => ['--form', good()], /^Unknown option '--form'/],
    [
      'no file',
      () => ['--from', './none.mjs', '--to', good(), '--queue=a'],
      /^There is no file .*\/none\.mjs, which --from/,
    ],
    [
      'a file without a default export',
      () => ['--from', good(), '--to', file('export const backend = 1'), '--queue=a'],
      /^.*\.mjs, which --to names, has no JobBackend as its default export\. Write/,
    ],
    [
      'a class in place of a backend',
      () => ['--from', file('export default class Backend {}'), '--to', good(), '--queue=a'],
      /which --from names, has no JobBackend as its default export/,
    ],
    [
      'a file that fails',
      () => ['--from', file('throw new TypeError("no REDIS_URL")'), '--to', good(), '--queue=a'],
      /which --from names, cannot be loaded: TypeError: no REDIS_URL/,
    ],
    [
      'a file that imports what is not there',
      () => ['--from', file('import "./nowhere.mjs"'), '--to', good(), '--queue=a'],
      /which --from names, cannot be loaded: .*nowhere/,
    ],
    [
      'a backend that is gone with the process',
      () => {
        given.backends['memory'] = new TwoStores().to;
        return ['--from', good(), '--to', backendFile('memory'), '--queue=a'];
      },
      /^The job backend "memory" of --to keeps its jobs in this process/,
    ],
    [
      'the same file twice',
      () => {
        const same = good();
        return ['--from', same, '--to', same, '--queue=a'];
      },
      /^Option --to of drainJobs\(\) is 'memory', but accepted is another backend than "from"/,
    ],
    [
      'no duration',
      () => ['--from', good(), '--to', backendFile('from'), '--queue=a', '--wait=soon'],
      /^Option --wait of drainJobs\(\) is 'soon'/,
    ],
    [
      'no format',
      () => ['--from', good(), '--to', backendFile('from'), '--queue=a', '--from-format=xml'],
      /^Option --from-format of drainJobs\(\) is 'xml'/,
    ],
  ])('refuses %s, and says how to use it', async (_, args, why) => {
    const { exitCode, stdout, stderr } = await run(args());
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(why);
    expect(stderr).toContain('Usage: nestjs-worker drain');
    expect(stderr).not.toContain('scaled-object');
  });
});
