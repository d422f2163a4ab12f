import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireFreshBuild } from '../support/dist.js';
import { repository } from '../support/repository.js';
import { run } from './run.js';

export interface Tarball {
  readonly path: string;
  /** The files in it, sorted. */
  readonly files: readonly string[];
  remove(): void;
}

/** What `npm publish` would send. */
export async function pack(): Promise<Tarball> {
  requireFreshBuild();
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-pack-'));
  const report = await run(
    repository,
    'npm',
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    folder,
  );
  const [packed] = JSON.parse(report) as [{ filename: string; files: { path: string }[] }];
  return {
    path: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path).toSorted(),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
