import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A program that tests need and npm does not have. */
export interface DebianTool {
  readonly command: string;
  /** The package of Debian that has it. */
  readonly package: string;
  /** The environment variable that may say where it is, or its folder. */
  readonly variable: string;
  /** Where Debian has it, if not on PATH. A `*` is the number of a version; the newest comes first. */
  readonly folders?: readonly string[];
  /** Root runs it as somebody else, who could not enter root's home. */
  readonly forOtherUser?: boolean;
}

/** Where it is, and what its environment needs. */
export interface FoundTool {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Finds the tool where its variable says, on PATH, or where an earlier run has put it. Otherwise unpacks the Debian
 * package, with what it depends on, into the user's cache: that needs no root, changes nothing of the system, and
 * starts no service. Where there is no apt-get either, throws an error that says what to install.
 * `DEBIAN_TOOLS=unpacked` does as if nothing was installed.
 */
export async function findDebianTool(tool: DebianTool, env = process.env): Promise<FoundTool> {
  const given = env[tool.variable];
  if (given !== undefined) {
    const path = [given, join(given, tool.command)].find(isProgram);
    if (path !== undefined) return { path, env: {} };
    throw new Error(`${tool.variable} is "${given}", which is no program.`);
  }
  const known = (tool.folders ?? []).flatMap((folder) => versionsOf(folder));
  const folders = [...(env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin', ...known];
  const skipped = env['DEBIAN_TOOLS'] === 'unpacked';
  const installed = skipped ? undefined : folders.map((folder) => join(folder, tool.command)).find(isProgram);
  if (installed !== undefined) return { path: installed, env: {} };

  const ofUser = tool.forOtherUser && process.getuid?.() === 0 ? '/var/cache' : join(homedir(), '.cache');
  const cache = env['XDG_CACHE_HOME'] ?? ofUser;
  const root = join(cache, 'nestjs-worker', `${tool.package}-${process.arch}`);
  try {
    if (!existsSync(root)) await unpack(tool.package, root, env);
    return foundBelow(root, tool);
  } catch (cause) {
    throw new Error(
      `These tests need ${tool.command}, which is not on PATH and could not be installed. ` +
        `Install it (on Debian and its likes: apt-get install ${tool.package}), ` +
        `or say in ${tool.variable} where it is.`,
      { cause },
    );
  }
}

async function unpack(name: string, root: string, env: NodeJS.ProcessEnv): Promise<void> {
  await mkdir(dirname(root), { recursive: true });
  const work = await mkdtemp(`${root}-`);
  // Lists, archives and locks of its own: it meets neither the system's apt nor another run of this.
  const own = [
    ['-q'],
    ['-o', `Dir::State::Lists=${work}/lists`],
    ['-o', `Dir::Cache=${work}/cache`],
    ['-o', 'APT::Sandbox::User=root'],
    ['-o', 'Debug::NoLocking=1'],
  ].flat();
  const apt = (program: string, ...args: string[]) =>
    run(program, [...own, ...args], { env, timeout: 180_000 });
  try {
    await mkdir(`${work}/lists/partial`, { recursive: true });
    await mkdir(`${work}/cache/archives/partial`, { recursive: true });
    await apt('apt-get', 'update');
    // With its parts: `postgresql` only asks for `postgresql-15`, `redis-server` is a link to what `redis-tools` has.
    const { stdout } = await apt('apt-cache', 'depends', '--important', name);
    const parts = [...stdout.matchAll(/Depends: (\S+)/g)].map(([, part = '']) => part);
    const names = [name, ...parts.filter((part) => part.split('-')[0] === name.split('-')[0])];
    // Of these, what is installed already is needed here as well.
    const how = ['-y', '--download-only', '--reinstall', '--no-install-recommends'];
    await apt('apt-get', 'install', ...how, ...names);
    for (const file of await readdir(`${work}/cache/archives`)) {
      if (file.endsWith('.deb'))
        await run('dpkg-deb', ['-x', `${work}/cache/archives/${file}`, `${work}/root`]);
    }
    await rename(`${work}/root`, root).catch((error: unknown) => {
      // Another run was first.
      if (!existsSync(root)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function foundBelow(root: string, { command, folders = [] }: DebianTool): FoundTool {
  const known = folders.flatMap((folder) => versionsOf(join(root, folder)));
  const usual = ['usr/bin', 'usr/sbin', 'bin', 'sbin'].map((folder) => join(root, folder));
  const path = [...usual, ...known].map((folder) => join(folder, command)).find(isProgram);
  if (path === undefined) throw new Error(`There is no ${command} below ${root}`);
  const libraries = ['usr/lib', 'lib'].flatMap((folder) => librariesIn(join(root, folder)));
  return { path, env: libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(delimiter) } };
}

/** The folders of all versions that are there, the newest first. */
function versionsOf(folder: string): string[] {
  const [before = '', after] = folder.split('*');
  if (after === undefined) return [folder];
  if (!existsSync(before)) return [];
  const versions = readdirSync(before).filter((name) => /^\d+$/.test(name));
  return versions.toSorted((a, b) => Number(b) - Number(a)).map((version) => before + version + after);
}

/** Folders such as `x86_64-linux-gnu`. */
function librariesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.includes('-linux-'));
  return names.map((name) => join(folder, name));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
