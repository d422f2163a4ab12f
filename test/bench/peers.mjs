// Peers that are no dependencies of this project, since they do not run on its oldest Node; and a Node that they run on.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const npm = (command, ...args) =>
  run(command, args, { shell: process.platform === 'win32', timeout: 300_000 });

/** Installs them once, as `{ name: version }` says; answers the folder. */
export async function installPeers(versions) {
  const folder = join(tmpdir(), 'nestjs-worker-bench-peers');
  const missing = Object.entries(versions).filter(([name, wanted]) => versionIn(folder, name) !== wanted);
  if (missing.length > 0) {
    mkdirSync(folder, { recursive: true });
    // All of them: npm removes what it is not told of.
    const all = Object.entries(versions).map(([name, wanted]) => `${name}@${wanted}`);
    await npm('npm', 'install', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error', ...all);
  }
  return folder;
}

function versionIn(folder, name) {
  const path = join(folder, 'node_modules', name, 'package.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).version : undefined;
}

export function importPeer(folder, name) {
  const { resolve } = createRequire(join(folder, 'package.json'));
  return import(pathToFileURL(resolve(name)).href);
}

/** Answers its path and version: this one, if it will do. */
export async function findNode(major) {
  if (Number.parseInt(process.versions.node) >= major) {
    return { path: process.execPath, version: process.version };
  }
  const { stdout: path } = await npm('npx', '-y', '-p', `node@${major}`, 'node', '-p', 'process.execPath');
  const { stdout: version } = await run(path.trim(), ['--version']);
  return { path: path.trim(), version: version.trim() };
}
