import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { repository } from '../support/repository.js';
import { run } from './run.js';
import { pack } from './tarball.js';

export interface Consumer {
  /** Runs a command in the project; answers its stdout. */
  run(command: string, ...args: string[]): Promise<string>;
  release(): void;
}

const npmInstall = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];

/**
 * A project of test/package/consumers with the packed package installed. What it installs besides is kept among
 * the temporary files until its package.json changes; one test run at a time has the project.
 */
export async function openConsumer(name: string): Promise<Consumer> {
  const source = join(repository, 'test/package/consumers', name);
  const packageJson = readFileSync(join(source, 'package.json'));
  const hash = createHash('sha256').update(packageJson).update(process.version).digest('hex').slice(0, 12);
  // Not below our own node_modules: what a project lacks would be found there.
  const project = join(tmpdir(), 'nestjs-worker-consumers', `${name}-${hash}`);
  const installed = join(project, '.installed');

  mkdirSync(project, { recursive: true });
  const release = await lock(join(project, '.lock'));
  try {
    if (!existsSync(installed)) {
      writeFileSync(join(project, 'package.json'), packageJson);
      await run(project, 'npm', ...npmInstall);
      writeFileSync(installed, '');
    }
    rmSync(join(project, 'src'), { recursive: true, force: true });
    cpSync(source, project, { recursive: true });

    const tarball = await pack();
    try {
      rmSync(join(project, 'node_modules/nestjs-worker'), { recursive: true, force: true });
      await run(project, 'npm', ...npmInstall, '--no-save', tarball.path);
    } finally {
      tarball.remove();
    }
  } catch (error) {
    release();
    throw error;
  }
  return { run: (command, ...args) => run(project, command, ...args), release };
}

/** Waits until no other living process has the lock, then takes it; answers how to give it back. */
async function lock(path: string): Promise<() => void> {
  for (;;) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (isAlive(Number(readFileSync(path, 'utf8')))) await delay(100);
      else rmSync(path, { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
