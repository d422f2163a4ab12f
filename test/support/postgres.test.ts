import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { findPostgres, PostgresServer } from './postgres.js';
import { PostgresProgram, processes } from './postgres-program.js';

const linux = process.platform === 'linux';

async function started<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  onTestFinished(() => server.stop());
  return server;
}

/** A folder that others may enter. */
function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  return folder;
}

function stubEnv(name: string, value: string | undefined): void {
  vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

/** What a statement answers, on a connection of its own. */
async function ask(server: PostgresServer, text: string): Promise<unknown[]> {
  const client = await server.client();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows.flat();
  } finally {
    await client.end();
  }
}

describe.runIf(PostgresServer.isOwn)('one of our own', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    // It may have to be fetched.
    server = await PostgresServer.start('max_connections=7', 'application_name=of  mine');
  }, 240_000);
  afterAll(() => server?.stop());

  it('answers at its address and at no other, and waits for no disk', async () => {
    expect(server.isOwn).toBe(true);
    expect(server.url).toBe(`postgres://postgres@127.0.0.1:${server.port}/postgres`);
    expect(await ask(server, 'show server_version')).toEqual([expect.stringContaining(server.version)]);
    const names = ['listen_addresses', 'unix_socket_directories', 'fsync'];
    const settings = await Promise.all(names.map((name) => ask(server, `show ${name}`)));
    expect(settings.flat()).toEqual(['127.0.0.1', '', 'off']);
  });

  it('takes settings', async () => {
    expect(await ask(server, 'show max_connections')).toEqual(['7']);
    expect(await ask(server, 'show application_name')).toEqual(['of  mine']);
  });

  it('keeps what was committed, and only that, when it is killed and begins again', async () => {
    await ask(server, 'create table kept (name text)');
    await ask(server, `insert into kept values ('committed')`);
    const client = await server.client();
    await client.query('begin');
    await client.query(`insert into kept values ('not committed')`);
    const cut = new Promise((resolve) => client.once('end', resolve));

    await server.kill();
    await cut;
    await expect(server.client()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await server.begin();
    expect(await ask(server, 'select name from kept')).toEqual(['committed']);
  });

  it('tells its clients when it is shut down, and begins again', async () => {
    await ask(server, 'create table shut ()');
    const client = await server.client();
    const told = new Promise((resolve) => client.once('error', resolve));

    await server.shutdown();
    expect(String(await told)).toMatch('due to administrator command');
    await client.end();
    await server.begin();
    expect(await ask(server, 'select count(*)::int from shut')).toEqual([0]);
  });

  it('answers nothing while it is held, and then all that it was asked', async () => {
    const pool = server.pool();
    onTestFinished(() => pool.end());
    const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    const known = processes().find(({ pid }) => pid === rows[0]?.pid);
    const held = () =>
      processes().flatMap(({ pid, state }) =>
        pid === known?.pid || pid === known?.parent ? [state.startsWith('T')] : [],
      );
    expect(held()).toEqual([false, false]);

    server.hold(true);
    // What answers those that are known, and what lets others in.
    await vi.waitFor(() => expect(held()).toEqual([true, true]));
    const asked = [pool.query('select 1'), ask(server, 'select 2')];
    server.hold(false);
    expect(await Promise.all(asked)).toMatchObject([{ rowCount: 1 }, [2]]);
    expect(held()).toEqual([false, false]);
  });

  it('says why it does not start, and leaves nothing behind', async () => {
    const folder = openFolder();
    stubEnv('TMPDIR', folder);
    await expect(PostgresServer.start('no_such_setting=1')).rejects.toThrow(/no_such_setting/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.runIf(linux)('leaves no process, no memory and no file behind, killed and held as it is', async () => {
    const folder = openFolder();
    stubEnv('TMPDIR', folder);
    const program = await PostgresProgram.start(await findPostgres());
    const { pid } = program.process ?? {};
    const children = () => processes().filter(({ parent }) => parent === pid);
    const segments = () =>
      readFileSync('/proc/sysvipc/shm', 'utf8')
        .split('\n')
        .filter((line) => line.trim().split(/\s+/)[4] === String(pid));
    const members = children().map((child) => child.pid);
    expect(members.length).toBeGreaterThan(2);
    expect(segments()).toHaveLength(1);
    // Root may not run it.
    expect(statSync(`/proc/${pid}`).uid).not.toBe(0);

    program.hold(true);
    await program.kill();
    expect(segments()).toHaveLength(1);
    await program.stop();
    const alive = processes().filter(({ state }) => !/^[ZX]/.test(state));
    expect(alive.filter((one) => one.pid === pid || members.includes(one.pid))).toEqual([]);
    expect(segments()).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.runIf(existsSync('/usr/lib/postgresql'))('runs where it has been unpacked', async () => {
    const cache = openFolder();
    const root = join(cache, 'nestjs-worker', `postgresql-${process.arch}`);
    for (const folder of ['usr/lib/postgresql', 'usr/share/postgresql']) {
      mkdirSync(join(root, folder), { recursive: true });
      cpSync(join('/', folder), join(root, folder), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.includes('/bitcode/'),
      });
    }
    stubEnv('DEBIAN_TOOLS', 'unpacked');
    stubEnv('XDG_CACHE_HOME', cache);
    stubEnv('POSTGRES_BIN', undefined);

    const unpacked = await started(PostgresServer.start());
    // So do its own files, of which it has read some to get there.
    expect(
      await ask(
        unpacked,
        `select setting from pg_config() where name in ('BINDIR', 'SHAREDIR', 'PKGLIBDIR')`,
      ),
    ).toEqual(Array.from({ length: 3 }, () => expect.stringContaining(`${root}/usr/`)));
    expect(await ask(unpacked, `select 1 from pg_timezone_names limit 1`)).toEqual([1]);
  });
});

it('refuses versions that are too old', async () => {
  const folder = openFolder();
  writeFileSync(join(folder, 'postgres'), '#!/bin/sh\necho "postgres (PostgreSQL) 14.9"\n', { mode: 0o755 });
  stubEnv('POSTGRES_URL', undefined);
  stubEnv('POSTGRES_BIN', folder);
  await expect(PostgresServer.start()).rejects.toThrow(
    `${folder}/postgres is PostgreSQL 14.9; say in POSTGRES_BIN where 15 or later is.`,
  );
});

it('makes a database on the server of POSTGRES_URL, which is not ours to kill, and drops it', async () => {
  const server = await started(PostgresServer.start());
  stubEnv('POSTGRES_URL', server.url);
  expect(PostgresServer.isOwn).toBe(false);
  const [one, other] = [await PostgresServer.start(), await started(PostgresServer.start())];
  const databases = () => ask(server, `select datname from pg_database where datname like 'nestjs_worker_%'`);
  const name = new URL(one.url).pathname.slice(1);

  expect([one.isOwn, one.port, one.version]).toEqual([false, server.port, server.version]);
  expect(await databases()).toEqual(expect.arrayContaining([name]));
  await ask(one, 'create table kept ()');
  expect(await ask(other, `select to_regclass('kept')`)).toEqual([null]);

  const refusal = /POSTGRES_URL is not ours to \w+.*: skip this, or unset POSTGRES_URL/;
  await expect(PostgresServer.start('max_connections=7')).rejects.toThrow(refusal);
  await expect(one.kill()).rejects.toThrow(refusal);
  await expect(one.shutdown()).rejects.toThrow(refusal);
  await expect(one.begin()).rejects.toThrow(refusal);
  expect(() => one.hold(true)).toThrow(refusal);

  // Somebody may have forgotten it.
  const client = await one.client();
  const cut = new Promise((resolve) => client.once('end', resolve));
  await one.stop();
  await cut;
  expect(await databases()).not.toContain(name);
});
