import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { filesBelow, optionalPeers, repository } from '../support/repository.js';
import layers from './layers.cjs';

// They read the whole of lib/, which takes as long as it takes.
vi.setConfig({ testTimeout: 120_000 });

const { rows, core, peersOf } = layers.folders;
const ruleNames = [...new Set(layers.forbidden.map(({ name }) => name))];

async function violationsIn(root: string, folders: string[]): Promise<ICruiseResult> {
  const tsConfig = join(root, 'tsconfig.json');
  const { output } = await cruise(
    folders,
    {
      baseDir: root,
      ruleSet: { forbidden: layers.forbidden },
      validate: true,
      tsPreCompilationDeps: true,
      doNotFollow: 'node_modules',
      tsConfig: { fileName: tsConfig },
    },
    { conditionNames: ['import', 'require', 'node', 'default'], exportsFields: ['exports'] },
    { tsConfig: extractTSConfig(tsConfig) },
  );
  return output as ICruiseResult;
}

const rulesBroken = (result: ICruiseResult): string[] =>
  [...new Set(result.summary.violations.map((violation) => violation.rule.name))].toSorted();

describe('the layers of lib/', () => {
  const sources = [
    ...filesBelow('lib'),
    ...(existsSync(`${repository}sample-app`) ? filesBelow('sample-app') : []),
  ];
  const modules = sources.filter((file) => /(?<!\.d)\.(ts|mjs)$/.test(file));

  it('hold', async () => {
    const result = await violationsIn(repository, ['lib', 'sample-app']);
    const seen = result.modules
      .map(({ source }) => source)
      .filter((source) => /^(lib|sample-app)\//.test(source));

    expect(modules.length).toBeGreaterThan(0);
    expect(seen.toSorted()).toEqual(modules);
    expect(result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual(
      [],
    );
  });

  it('have a row for each folder', () => {
    const known = [
      ...rows.flat().map((folder) => `lib/${folder}/`),
      'lib/index.ts',
      'lib/cli/',
      'lib/bin.ts',
      'lib/tsconfig',
    ];
    expect(
      sources.filter((file) => file.startsWith('lib/') && !known.some((path) => file.startsWith(path))),
    ).toEqual([]);
  });

  it('give each optional peer to an integration', () => {
    expect([...new Set(Object.values(peersOf).flat())].toSorted()).toEqual(optionalPeers.toSorted());
  });
});

describe('each rule', () => {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'nestjs-worker-layers-')));
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  const npmPackages = ['@nestjs/common', 'pino', ...optionalPeers];
  const integrations = Object.keys(peersOf).map((name) => `integrations/${name}`);

  /** A small tree that keeps all rules: per folder an index, a plain file and a service. */
  function wellLayered(): Map<string, string> {
    const tree = new Map<string, string>();
    for (const folder of [...core, 'http', 'testing', ...integrations]) {
      tree.set(`lib/${folder}/index.ts`, `export * from './plain.js';\nexport * from './some.service.js';\n`);
      tree.set(`lib/${folder}/plain.ts`, `export const plain = 1;\n`);
      tree.set(`lib/${folder}/some.service.ts`, `export const service = 1;\n`);
    }
    tree.set('lib/index.ts', core.map((folder) => `export {} from './${folder}/index.js';\n`).join(''));
    tree.set('lib/cli/cli.ts', `import './some-command.js';\n`);
    tree.set('lib/cli/some-command.ts', `export const command = 1;\n`);
    tree.set('lib/bin.ts', `import './cli/cli.js';\n`);
    tree.set('sample-app/main.ts', `import 'nestjs-worker';\nimport 'nestjs-worker/pino';\n`);
    tree.set('test/helper.ts', `export const helper = 1;\n`);
    tree.set('package.json', readFileSync(`${repository}package.json`, 'utf8'));
    tree.set('tsconfig.json', readFileSync(`${repository}tsconfig.json`, 'utf8'));
    for (const name of npmPackages) {
      tree.set(
        `node_modules/${name}/package.json`,
        JSON.stringify({ name, version: '1.0.0', main: 'index.js' }),
      );
      tree.set(`node_modules/${name}/index.js`, '');
      tree.set(`node_modules/${name}/inner.js`, '');
    }
    return tree;
  }

  let trees = 0;
  async function rulesBrokenBy(lines: Record<string, string>): Promise<string[]> {
    const root = join(scratch, String(++trees));
    const tree = wellLayered();
    for (const [file, line] of Object.entries(lines)) tree.set(file, `${tree.get(file) ?? ''}${line}\n`);
    for (const [file, text] of tree) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    return rulesBroken(await violationsIn(root, ['lib', 'sample-app']));
  }

  it('lets a well layered tree pass', async () => {
    expect(
      await rulesBrokenBy({
        'lib/workers/plain.ts': `import '../pool/index.js'; import '../clock/index.js'; import 'rxjs'; import 'ms';`,
        'lib/workers/some.service.ts': `import '@nestjs/common';`,
        'lib/integrations/pino/plain.ts': `import 'nestjs-pino'; import '@nestjs/common'; import '../../workers/index.js';`,
        'lib/integrations/redis/plain.ts': `import 'ioredis';`,
        'lib/integrations/bullmq/plain.ts': `import 'bullmq'; import 'ioredis'; import 'pg';`,
        'lib/testing/plain.ts': `import '@nestjs/common'; import 'node:fs'; import '../tasks/index.js';`,
        'lib/http/some.service.ts': `import '@nestjs/common'; import '../jobs/index.js';`,
        'lib/cli/cli.ts': `import 'node:util'; import '../errors/index.js';`,
        'lib/cli/some-command.ts': `import '../http/plain.js'; import '../jobs/plain.js';`,
        'node_modules/rxjs/index.js': '',
        'node_modules/ms/index.js': '',
      }),
    ).toEqual([]);
  });

  type Break = [rules: string | string[], lines: Record<string, string>];
  const breaks: Break[] = [
    ['only-downwards', { 'lib/clock/plain.ts': `import '../execution/index.js';` }],
    ['only-downwards', { 'lib/supervision/plain.ts': `import type { plain } from '../discovery/index.js';` }],
    ['only-downwards', { 'lib/pool/plain.ts': `import '../workers/index.js';` }],
    ['only-downwards', { 'lib/jobs/plain.ts': `void import('../testing/index.js');` }],
    [
      ['only-downwards', 'root-needs-no-optional-peer'],
      {
        'lib/workers/plain.ts': `import '../integrations/pino/index.js';`,
        'lib/integrations/pino/plain.ts': `import 'nestjs-pino';`,
      },
    ],
    ['no-siblings', { 'lib/errors/plain.ts': `import '../clock/index.js';` }],
    ['no-siblings', { 'lib/workers/plain.ts': `import '../tasks/index.js';` }],
    ['no-siblings', { 'lib/tasks/plain.ts': `import '../jobs/index.js';` }],
    ['no-siblings', { 'lib/integrations/pino/plain.ts': `import '../../testing/index.js';` }],
    ['no-siblings', { 'lib/http/plain.ts': `import '../integrations/pino/index.js';` }],
    ['integrations-stand-alone', { 'lib/integrations/pino/plain.ts': `import '../terminus/index.js';` }],
    [
      'integrations-stand-alone',
      {
        'lib/integrations/pino/plain.ts': `import '../shared.js';`,
        'lib/integrations/shared.ts': `export const shared = 1;`,
      },
    ],
    ['enter-by-index', { 'lib/pool/plain.ts': `import '../clock/plain.js';` }],
    ['enter-by-index', { 'lib/index.ts': `export {} from './clock/plain.js';` }],
    ['enter-by-index', { 'lib/testing/plain.ts': `import '../pool/plain.js';` }],
    ['enter-by-index', { 'lib/http/plain.ts': `import '../cli/some-command.js';` }],
    [['no-cycles', 'not-by-own-index'], { 'lib/clock/plain.ts': `import './index.js';` }],
    [['no-cycles', 'not-by-own-index'], { 'lib/integrations/pino/plain.ts': `import './index.js';` }],
    [['no-cycles', 'root-is-a-way-in'], { 'lib/clock/plain.ts': `import '../index.js';` }],
    ['root-is-a-way-in', { 'lib/integrations/pino/plain.ts': `import '../../index.js';` }],
    ['root-is-a-way-in', { 'lib/index.ts': `import './bin.js';` }],
    ['bin-is-cli', { 'lib/bin.ts': `import './clock/index.js';` }],
    ['bin-is-cli', { 'lib/bin.ts': `import './http/plain.js';` }],
    ['bin-is-cli', { 'lib/bin.ts': `import './cli/some-command.js';` }],
    ['bin-is-cli', { 'lib/bin.ts': `import 'node:fs';` }],
    [
      'bin-needs-no-nest',
      {
        'lib/cli/some-command.ts': `import '../jobs/index.js';`,
        'lib/jobs/some.service.ts': `import '@nestjs/common';`,
      },
    ],
    ['cli-needs-no-integration', { 'lib/cli/cli.ts': `import '../integrations/redis/index.js';` }],
    ['cli-needs-no-integration', { 'lib/cli/some-command.ts': `import '../testing/plain.js';` }],
    ['root-stays-light', { 'lib/index.ts': `export {} from './testing/index.js';` }],
    ['root-stays-light', { 'lib/index.ts': `export {} from './http/index.js';` }],
    ['root-stays-light', { 'lib/index.ts': `export {} from './integrations/terminus/index.js';` }],
    [
      ['peer-in-its-integration', 'root-needs-no-optional-peer'],
      { 'lib/workers/some.service.ts': `await import('prom-client');` },
    ],
    ['peer-in-its-integration', { 'lib/testing/plain.ts': `import 'prom-client';` }],
    ['peer-in-its-integration', { 'lib/integrations/terminus/plain.ts': `import 'nestjs-pino';` }],
    ['peer-in-its-integration', { 'lib/integrations/pino/plain.ts': `import '@opentelemetry/api';` }],
    ['peer-in-its-integration', { 'lib/integrations/redis/plain.ts': `import 'bullmq';` }],
    ['peer-in-its-integration', { 'lib/integrations/redis/plain.ts': `import 'pg';` }],
    ['peer-in-its-integration', { 'lib/integrations/pino/plain.ts': `import 'ioredis';` }],
    ['nest-from-discovery-up', { 'lib/execution/some.service.ts': `import '@nestjs/common';` }],
    ['nest-from-discovery-up', { 'lib/clock/plain.ts': `import type { Type } from '@nestjs/common';` }],
    ['plain-file-knows-no-nest', { 'lib/workers/plain.ts': `import '@nestjs/common';` }],
    ['plain-file-knows-no-nest', { 'lib/discovery/plain.ts': `import '@nestjs/common';` }],
    ['plain-file-knows-no-nest', { 'lib/http/plain.ts': `import '@nestjs/common';` }],
    ['plain-file-knows-no-nest', { 'lib/index.ts': `export {} from '@nestjs/common';` }],
    ['no-nest-internals', { 'lib/pool/some.service.ts': `import '@nestjs/common/inner.js';` }],
    ['no-nest-internals', { 'sample-app/main.ts': `import '@nestjs/common/inner.js';` }],
    ['sample-app-by-name', { 'sample-app/main.ts': `import '../lib/index.js';` }],
    ['lib-stands-alone', { 'lib/testing/plain.ts': `import '../../test/helper.js';` }],
    ['declared-packages-only', { 'lib/clock/plain.ts': `import 'pino';` }],
    ['resolvable', { 'lib/clock/plain.ts': `import './nowhere.js';` }],
    [
      'no-cycles',
      {
        'lib/clock/plain.ts': `import './some.service.js';`,
        'lib/clock/some.service.ts': `import './plain.js';`,
      },
    ],
    ['no-orphans', { 'lib/clock/forgotten.ts': `import './plain.js';` }],
  ];

  it.each(breaks)('%s', async (rules, lines) => {
    expect(await rulesBrokenBy(lines)).toEqual([rules].flat());
  });

  it('has been broken above', () => {
    expect([...new Set(breaks.flatMap(([rules]) => rules))].toSorted()).toEqual(ruleNames.toSorted());
  });
});
