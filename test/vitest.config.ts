import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));
const lib = (path: string) => `${root}lib/${path}`;

const report = process.env.TEST_REPORT;
/** The rest of test/ mirrors lib/ and is the project `unit`. */
const special = ['conformance', 'e2e', 'architecture', 'package'];

export default defineConfig({
  root,
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  resolve: {
    alias: [
      { find: /^nestjs-worker\/(http|testing)$/, replacement: lib('$1/index.ts') },
      { find: /^nestjs-worker\/(\w+)$/, replacement: lib('integrations/$1/index.ts') },
      { find: /^nestjs-worker$/, replacement: lib('index.ts') },
    ],
  },
  test: {
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    setupFiles: [`${root}test/support/setup.ts`],
    pool: 'forks',
    execArgv: ['--expose-gc'],
    // A limit for what hangs, and no measure of anything: machines may be slow.
    testTimeout: 20_000,
    hookTimeout: 30_000,
    projects: ['unit', ...special].map((name) => ({
      extends: true as const,
      test: {
        name,
        include: name === 'unit' ? ['test/**/*.test.ts'] : [`test/${name}/**/*.test.ts`],
        exclude: [
          '**/node_modules/**',
          'test/package/consumers/**',
          ...(name === 'unit' ? special.map((folder) => `test/${folder}/**`) : []),
        ],
        // Those that hold the time in their hands, or mostly wait for it, may share the machine, and so may those that install
        // and compile whole projects, which would take the time from tests that watch the clock: of these one runs at a time
        // on two cores.
        ...(name !== 'e2e' && { maxWorkers: Math.max(2, availableParallelism() - 1) }),
        sequence: { groupOrder: { unit: 0, conformance: 1, e2e: 2 }[name] ?? 3 },
      },
    })),
  },
});
