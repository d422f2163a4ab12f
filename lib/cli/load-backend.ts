import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { toErrorInfo } from '../events/index.js';
import { isJobBackend } from '../jobs/drain-jobs-backend.js';
import type { JobBackend } from '../jobs/job-backend.js';
import { UsageError } from './command.js';

/** Loads what a file exports as default, which is to be a backend whose jobs outlive this process. */
export async function loadBackend(flag: string, file: string, cwd: string): Promise<JobBackend> {
  const path = resolve(cwd, file);
  if (!existsSync(path)) throw new UsageError(`There is no file ${path}, which --${flag} names.`);
  const backend = defaultOf(await load(flag, path));
  if (!isJobBackend(backend)) {
    throw new UsageError(
      `${path}, which --${flag} names, has no JobBackend as its default export. Write for example ` +
        '`export default new RedisJobBackend({ url: process.env.REDIS_URL });`.',
    );
  }
  if (!backend.capabilities.shared) {
    throw new UsageError(
      `The job backend "${backend.capabilities.name}" of --${flag} keeps its jobs in this process, which is about to ` +
        'end. In a program of your own there is drainJobs().',
    );
  }
  return backend;
}

async function load(flag: string, path: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    const { name, message } = toErrorInfo(error);
    throw new UsageError(`${path}, which --${flag} names, cannot be loaded: ${name}: ${message}`, {
      cause: error,
    });
  }
}

/** A CommonJS module that a compiler has made of an ES module has its default export one deeper. */
function defaultOf(module: unknown): unknown {
  const { default: first } = module as { readonly default?: unknown };
  if (isJobBackend(first) || typeof first !== 'object' || first === null) return first;
  return (first as { readonly default?: unknown }).default;
}
