import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesBelow, packageJson, repository, subPaths } from '../support/repository.js';
import { run } from './run.js';
import { pack, type Tarball } from './tarball.js';

describe('the tarball', () => {
  let tarball: Tarball;
  beforeAll(async () => {
    tarball = await pack();
  }, 60_000);
  afterAll(() => tarball?.remove());

  it('holds what lib/ was built to, the files for monitoring, the papers, and nothing else', () => {
    const built = filesBelow('lib')
      .filter((file) => file.endsWith('.ts'))
      .map((file) => file.slice('lib/'.length, -'.ts'.length))
      .flatMap((name) => ['.js', '.js.map', '.d.ts'].map((ending) => name + ending))
      .flatMap((file) => [`dist/esm/${file}`, `dist/cjs/${file}`]);
    const monitoring = ['monitoring/grafana-dashboard.json', 'monitoring/prometheus-alerts.yml'];
    const papers = ['CHANGELOG.md', 'LICENSE', 'NOTICE', 'README.md', 'package.json'];

    expect(built.length).toBeGreaterThan(0);
    expect(tarball.files).toEqual([...built, 'dist/cjs/package.json', ...monitoring, ...papers].toSorted());
  });

  it('holds the files of each sub-path', () => {
    const named = subPaths.flatMap(({ import: esm, require: cjs }) => [
      esm.types,
      esm.default,
      cjs.types,
      cjs.default,
    ]);

    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((file) => !tarball.files.includes(file.replace('./', '')))).toEqual([]);
  });

  it('has no complaint of publint', async () => {
    const { buffer, byteOffset, byteLength } = readFileSync(tarball.path);
    const { messages } = await publint({
      strict: true,
      pack: { tarball: buffer.slice(byteOffset, byteOffset + byteLength) },
    });

    expect(messages.map((message) => formatMessage(message, packageJson, { color: false }))).toEqual([]);
  });

  it('has types for all ways to resolve it, node10 included', async () => {
    const attw = join(repository, 'node_modules/@arethetypeswrong/cli/dist/index.js');
    const report = await run(
      repository,
      process.execPath,
      attw,
      tarball.path,
      '--format',
      'ascii',
      '--no-color',
    );

    expect(report).toContain('No problems found');
    for (const { name } of subPaths) expect(report).toContain(`"${name}"`);
  }, 60_000);
});
