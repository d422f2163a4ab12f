// Imports nothing but Node itself: test/bench and test/chaos, which plain Node runs, load it as well.
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { DebianTool, FoundTool } from './debian-tool.js';

const run = promisify(execFile);

export const postgresTool: DebianTool = {
  command: 'postgres',
  package: 'postgresql',
  variable: 'POSTGRES_BIN',
  folders: ['/usr/lib/postgresql/*/bin'],
  forOtherUser: true,
};

const oldest = 15;

const defaults = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'fsync=off',
  'shared_buffers=32MB',
  'max_connections=200',
  // In its folder, so that nothing of it is left behind when it is killed.
  'dynamic_shared_memory_type=mmap',
  'jit=off',
];

/** A PostgreSQL on a port and in a folder of its own, which waits for no disk. */
export class PostgresProgram {
  readonly isOwn = true;
  readonly port: number;
  readonly version: string;
  readonly #bin: string;
  readonly #folder: string;
  readonly #settings: readonly string[];
  readonly #as: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; uid?: number; gid?: number };
  #process: ChildProcess | undefined;

  private constructor(found: FoundTool, port: number, version: string, settings: readonly string[]) {
    const account = accountForServers();
    // As `postgres` is a link on some machines, with no link to `initdb` beside it.
    this.#bin = dirname(realpathSync(found.path));
    this.port = port;
    this.version = version;
    this.#settings = [...defaults, `port=${port}`, ...settings];
    this.#folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-postgres-'));
    this.#as = {
      cwd: this.#folder,
      // Its messages and what it sorts by are the same on all machines.
      env: { ...process.env, ...found.env, LC_ALL: 'C' },
      ...account,
    };
    if (account !== undefined) chownSync(this.#folder, account.uid, account.gid);
  }

  /** `settings` as in postgresql.conf: `max_connections=20`. */
  static async start(found: FoundTool, ...settings: readonly string[]): Promise<PostgresProgram> {
    const server = new PostgresProgram(found, await freePort(), await versionOf(found), settings);
    try {
      await server.#initialize();
      await server.begin();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  /** That which starts all others of the server, and ends them when it ends. */
  get process(): ChildProcess | undefined {
    return this.#process;
  }

  /** Starts it again after `kill()` or `shutdown()`. */
  async begin(): Promise<void> {
    // Not to a pipe: who is busy or held does not read it, and then nor would the server go on.
    const log = openSync(this.#log, 'a');
    const options = ['-D', this.#data, ...this.#settings.flatMap((setting) => ['-c', setting])];
    const server = spawn(join(this.#bin, 'postgres'), options, {
      ...this.#as,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#process = server;
    let failure: Error | undefined;
    server.once('error', (error) => (failure = error));

    const giveUpAt = performance.now() + 20_000;
    while (!this.#isReady(server)) {
      if (failure !== undefined) throw failure;
      if (!isRunning(server)) throw new Error(`It has ended:\n${readFileSync(this.#log, 'utf8')}`);
      if (performance.now() > giveUpAt)
        throw new Error(`It is not ready:\n${readFileSync(this.#log, 'utf8')}`);
      await delay(5);
    }
  }

  /** Ends all its processes at once, as a crash does. */
  async kill(): Promise<void> {
    const server = this.#process;
    if (server === undefined || !isRunning(server)) return;
    const exited = once(server, 'exit');
    const others = killAll(server);
    await exited;
    const giveUpAt = performance.now() + 10_000;
    while (processes().some(({ pid, state }) => others.includes(pid) && !/^[ZX]/.test(state))) {
      if (performance.now() > giveUpAt) throw new Error(`It has been killed, and some of it lives`);
      await delay(5);
    }
  }

  /** As an operator does it: clients are told, and what they had not committed is rolled back. */
  async shutdown(): Promise<void> {
    const server = this.#process;
    if (server === undefined || !isRunning(server)) return;
    const exited = once(server, 'exit');
    server.kill('SIGINT');
    await exited;
  }

  /** Holds it, so that it answers nothing, or lets it go on. */
  hold(held: boolean): void {
    const server = this.#process;
    if (server === undefined || !isRunning(server)) return;
    if (held) server.kill('SIGSTOP');
    for (const pid of childrenOf(server)) signal(pid, held ? 'SIGSTOP' : 'SIGCONT');
    if (!held) server.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    this.clearUp();
  }

  /** What `stop()` does, without waiting: for a process that is about to exit. */
  clearUp(): void {
    const server = this.#process;
    if (server !== undefined && isRunning(server)) killAll(server);
    this.#releaseMemory();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  get #data(): string {
    return join(this.#folder, 'data');
  }

  get #log(): string {
    return join(this.#folder, 'log');
  }

  async #initialize(): Promise<void> {
    const initdb = join(this.#bin, 'initdb');
    const options = ['--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--no-sync'];
    await run(initdb, ['-D', this.#data, ...options], { ...this.#as, timeout: 60_000 }).catch(
      (cause: unknown) => {
        const { uid } = this.#as;
        const why = `${initdb} failed${uid === undefined ? '' : `, or user ${uid} may not enter ${this.#bin} or ${this.#folder}`}`;
        throw new Error(why, { cause });
      },
    );
  }

  /** It says so in the file that keeps others from its folder, where there may be an older one at first. */
  #isReady(server: ChildProcess): boolean {
    const lines = this.#lockFile();
    return Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready';
  }

  #lockFile(): readonly string[] {
    const path = join(this.#data, 'postmaster.pid');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  }

  /** The few bytes of System V's that it locks itself with stay when it is killed; to start it again frees them. */
  #releaseMemory(): void {
    const id = this.#lockFile()[6]?.trim().split(/\s+/)[1];
    if (id !== undefined) spawnSync('ipcrm', ['-m', id], this.#as);
  }
}

/** Root may not run it. Undefined: we do. */
function accountForServers(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const of = (wanted: string) => accounts.find(([name]) => name === wanted);
  const [, , uid, gid] = of('postgres') ?? of('nobody') ?? [];
  if (uid === undefined) throw new Error('There is neither a user "postgres" nor "nobody" to run it as.');
  return { uid: Number(uid), gid: Number(gid) };
}

async function versionOf({ path, env }: FoundTool): Promise<string> {
  const { stdout } = await run(path, ['--version'], { env: { ...process.env, ...env } });
  const version = /\d+(\.\d+)*/.exec(stdout)?.[0] ?? 'unknown';
  if (Number.parseInt(version) >= oldest) return version;
  throw new Error(`${path} is PostgreSQL ${version}; say in POSTGRES_BIN where ${oldest} or later is.`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const isRunning = ({ pid, exitCode, signalCode }: ChildProcess): boolean =>
  pid !== undefined && exitCode === null && signalCode === null;

/** Answers which there were besides. */
function killAll(server: ChildProcess): readonly number[] {
  // First it is held: it starts no others then, and does not begin to mend what we break.
  server.kill('SIGSTOP');
  const others = childrenOf(server);
  for (const pid of others) signal(pid, 'SIGKILL');
  server.kill('SIGKILL');
  return others;
}

interface Listed {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

/** Each is in a session of its own, so that no group of processes has them all. */
const childrenOf = ({ pid }: ChildProcess): readonly number[] =>
  processes().flatMap((listed) => (listed.parent === pid ? [listed.pid] : []));

/** All of this machine. */
export function processes(): readonly Listed[] {
  if (process.platform !== 'linux') {
    const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' }).split('\n');
    return lines.map((line) => {
      const [pid, parent, state = ''] = line.trim().split(/\s+/);
      return { pid: Number(pid), parent: Number(parent), state };
    });
  }
  // Small images of Debian have no `ps`.
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      // A name in brackets, in which there may be brackets.
      const [, rest = ''] = /.*\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      const [state = '', parent] = rest.split(' ');
      return [{ pid: Number(pid), parent: Number(parent), state }];
    } catch {
      return []; // It has just ended.
    }
  });
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
