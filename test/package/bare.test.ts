import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scaledObject } from '../../lib/http/scaled-object.js';
import { optionalPeers, repository } from '../support/repository.js';
import { type Consumer, openConsumer } from './consumer.js';

describe('in a project with no optional peer', () => {
  let project: Consumer;
  beforeAll(async () => {
    project = await openConsumer('bare');
  }, 300_000);
  afterAll(() => project?.release());

  const evaluate = (type: 'module' | 'commonjs', code: string): Promise<string> =>
    project.run(process.execPath, `--input-type=${type}`, '--eval', code);

  it('none is there', async () => {
    const found = await evaluate(
      'commonjs',
      `console.log(JSON.stringify(${JSON.stringify(optionalPeers)}.filter((name) => {
        try { return require.resolve(name) } catch { return false }
      })))`,
    );
    expect(JSON.parse(found)).toEqual([]);
  });

  it.each([
    ['module', `import 'reflect-metadata'; import * as root from 'nestjs-worker';`],
    ['commonjs', `require('reflect-metadata'); const root = require('nestjs-worker');`],
  ] as const)('the root loads as %s', async (type, load) => {
    expect(await evaluate(type, `${load} console.log(typeof root.WorkerModule);`)).toBe('function\n');
  });

  it.each([
    ['module', `import 'reflect-metadata'; import * as testing from 'nestjs-worker/testing';`],
    ['commonjs', `require('reflect-metadata'); const testing = require('nestjs-worker/testing');`],
  ] as const)('the testing helpers load as %s', async (type, load) => {
    expect(await evaluate(type, `${load} console.log(typeof testing.FakeClock);`)).toBe('function\n');
  });

  it('the command prints what KEDA needs', async () => {
    const options = { queues: ['mails & more'], url: 'http://api:3000/work', deployment: 'mailer' };
    const printed = await project.run(
      'npx',
      'nestjs-worker',
      'scaled-object',
      '--queue',
      'mails & more',
      '--url',
      options.url,
      '--deployment',
      options.deployment,
    );
    expect(printed).toBe(scaledObject(options));
  });

  it('the command says what is missing, and fails', async () => {
    const answer = evaluate(
      'commonjs',
      `const { spawnSync } = require('node:child_process');
      const { status, stdout, stderr } = spawnSync('npx', ['nestjs-worker', 'scaled-object'], { encoding: 'utf8' });
      console.log(JSON.stringify({ status, stdout, stderr }));`,
    );
    expect(JSON.parse(await answer)).toEqual({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/Missing: --queue, --url, --deployment\.\n\nUsage: /),
    });
  });

  it('the command moves jobs between the backends of two modules', async () => {
    const backend = `import { MemoryJobBackend } from 'nestjs-worker';
      class Shared extends MemoryJobBackend {
        capabilities = { ...new MemoryJobBackend().capabilities, shared: true };
      }
      export const backend = new Shared();
      const job = { id: 'one', queue: 'mails', name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };`;
    const files = {
      'old-backend.mjs': `${backend} await backend.enqueue([job]); export default backend;`,
      'new-backend.mjs': `${backend} export default backend;`,
    };
    await evaluate(
      'commonjs',
      `require('node:fs').mkdirSync('src', { recursive: true });
      for (const [name, text] of Object.entries(${JSON.stringify(files)})) {
        require('node:fs').writeFileSync('src/' + name, text);
      }`,
    );
    const flags = ['--from', 'src/old-backend.mjs', '--to', './src/new-backend.mjs', '--queue', 'mails'];
    const printed = await project.run('npx', 'nestjs-worker', 'drain', ...flags, '--json');
    expect(JSON.parse(printed)).toMatchObject({ queue: 'mails', moved: 1 });
  });

  it.each(['grafana-dashboard.json', 'prometheus-alerts.yml'])('%s can be found', async (file) => {
    const found = await evaluate(
      'commonjs',
      `console.log(require('node:fs').readFileSync(require.resolve('nestjs-worker/monitoring/${file}'), 'utf8'));`,
    );
    expect(found).toBe(`${readFileSync(`${repository}monitoring/${file}`, 'utf8')}\n`);
  });
});
