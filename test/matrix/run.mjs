// Runs the tests of the code on each supported pair of Nest and Node:
//   npm run test:matrix                        all pairs
//   npm run test:matrix -- --nest 11 --node 20,24
//   npm run test:matrix -- --short             Nest 11 on this Node, and only what has to do with Nest: what CI adds to
//                                              `npm run check`
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const matrix = join(repository, '.matrix');
const thisNode = process.versions.node.split('.')[0];

/** What Nest 11 needs other than package.json says. */
const nest11 = {
  '@nestjs/common': '11.2.10',
  '@nestjs/core': '11.2.10',
  '@nestjs/platform-express': '11.2.10',
  '@nestjs/platform-fastify': '11.2.8',
  '@nestjs/terminus': '11.1.1',
  '@nestjs/testing': '11.2.6',
  'nestjs-pino': '4.6.1',
};

const { values } = parseArgs({
  options: {
    nest: { type: 'string', default: '11,12' },
    node: { type: 'string', default: '20,22,24,26' },
    short: { type: 'boolean', default: false },
  },
});
const nests = values.short ? ['11'] : values.nest.split(',');
const nodes = values.short ? [thisNode] : values.node.split(',');

function run(cwd, env, command, ...args) {
  console.log(`$ ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: 'inherit',
  });
  if (error) throw error;
  return status === 0;
}

function must(succeeded, what) {
  if (!succeeded) throw new Error(`${what} failed`);
}

/** A copy of this repository (links would lead vite back to our node_modules) with Nest 11 installed in it. */
function prepareNest11() {
  const copy = join(matrix, 'nest-11');
  const kept = new Set(['node_modules', 'package-lock.json', '.installed']);
  const notCopied = new Set([...kept, 'package.json', 'dist', 'coverage', '.git', '.matrix']);
  mkdirSync(copy, { recursive: true });
  for (const name of readdirSync(copy)) {
    if (!kept.has(name)) rmSync(join(copy, name), { recursive: true });
  }
  for (const name of readdirSync(repository)) {
    if (!notCopied.has(name)) cpSync(join(repository, name), join(copy, name), { recursive: true });
  }

  const ours = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8'));
  const locked = Object.keys(ours.devDependencies).map((name) => [
    name,
    packages[`node_modules/${name}`].version,
  ]);
  const packageJson = { ...ours, devDependencies: { ...Object.fromEntries(locked), ...nest11 } };
  writeFileSync(join(copy, 'package.json'), JSON.stringify(packageJson, null, 2));

  const stamp = join(copy, '.installed');
  const { dependencies, devDependencies, peerDependencies } = packageJson;
  const wanted = JSON.stringify({ dependencies, devDependencies, peerDependencies });
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    for (const name of ['node_modules', 'package-lock.json']) {
      rmSync(join(copy, name), { recursive: true, force: true });
    }
    must(
      run(copy, {}, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'),
      'npm install',
    );
    writeFileSync(stamp, wanted);
  }
  // A package missing here would be taken, unnoticed, from our own node_modules two folders up.
  for (const [name, version] of Object.entries(nest11)) {
    const installed = JSON.parse(
      readFileSync(join(copy, 'node_modules', name, 'package.json'), 'utf8'),
    ).version;
    must(installed === version, `${name}@${version}: found ${installed}, so the install`);
  }
  return copy;
}

/**
 * Tests in whose words Nest comes up, and those of a whole application: the rest is the same with any version of it, and so are
 * the page that a browser shows, what Redis and a Prometheus do, and what becomes of requests made at random.
 */
function filesWithNest(folder) {
  const elsewhere =
    /^(?:package|integrations.(?:redis|bullmq|drain)|e2e.(?:dashboard|jobs.bullmq|prometheus|sample-app-jobs|http.fuzz))/;
  const inTest = (name) => join('test', name);
  return readdirSync(join(folder, 'test'), { recursive: true })
    .filter((name) => name.endsWith('.test.ts') && !elsewhere.test(name))
    .filter((name) => {
      const text = readFileSync(join(folder, inTest(name)), 'utf8');
      return (
        name.startsWith('e2e') || /@nestjs\/|nestjs-pino|support\/(nest|job-handlers|sample-app)/.test(text)
      );
    })
    .map(inTest);
}

function testOn(folder, nest, node) {
  const report = join(matrix, 'reports', `nest-${nest}-node-${node}.json`);
  rmSync(report, { force: true });
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/vitest.config.ts'];
  const names = values.short ? ['unit', 'e2e'] : ['unit', 'conformance', 'e2e'];
  const projects = names.flatMap((name) => ['--project', name]);
  const files = values.short ? filesWithNest(folder) : [];
  const onNode = node === thisNode ? [process.execPath] : ['npx', '-y', '-p', `node@${node}`, 'node'];

  const env = { TEST_REPORT: report, MATRIX_NEST: nest, MATRIX_NODE: node };
  console.log(`\n--- Nest ${nest} on Node ${node}`);
  const startedAt = Date.now();
  const succeeded = run(folder, env, ...onNode, ...vitest, ...projects, ...files);
  const { numPassedTests: passed = 0, numFailedTests: failed = 0 } = existsSync(report)
    ? JSON.parse(readFileSync(report, 'utf8'))
    : {};
  return {
    Nest: nest,
    Node: node,
    passed,
    failed: succeeded ? failed : Math.max(failed, 1),
    seconds: Math.round((Date.now() - startedAt) / 1000),
  };
}

mkdirSync(join(matrix, 'reports'), { recursive: true });
const results = [];
for (const nest of nests) {
  console.log(`\n=== Nest ${nest}`);
  const folder = nest === '11' ? prepareNest11() : repository;
  must(run(folder, {}, 'npm', 'run', '-s', 'build'), `the build against Nest ${nest} in ${basename(folder)}`);
  for (const node of nodes) results.push(testOn(folder, nest, node));
}
console.table(results);
if (results.length === 0 || results.some(({ passed, failed }) => failed > 0 || passed === 0))
  process.exitCode = 1;
