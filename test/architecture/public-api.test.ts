import { readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { requireFreshBuild } from '../support/dist.js';
import { optionalPeers, packageJson, repository, subPaths } from '../support/repository.js';
import { apiReport, packagesNeededBy } from './api-report.js';

// They read the whole of lib/, which takes as long as it takes.
vi.setConfig({ testTimeout: 120_000 });

const snapshot = `${repository}test/architecture/public-api.md`;
const howToUpdate =
  'UPDATE_API=1 npx vitest run --config test/vitest.config.ts test/architecture/public-api.test.ts';
const head = `# Public API

All that users can import, as built. A change here is a change for them: read it, then write it down with
\`${howToUpdate}\`
and say in a changeset what it means.
`;

beforeAll(requireFreshBuild);

const compilerOptions: ts.CompilerOptions = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  experimentalDecorators: true,
  skipLibCheck: false,
  noEmit: true,
};

/**
 * What the compiler of a user who checks the declarations of libraries says of ours. What these import from
 * elsewhere is not ours to mend.
 */
function errorsOfDeclarations(types: string, before?: ts.Program): { errors: string[]; program: ts.Program } {
  const program = ts.createProgram({
    rootNames: [types],
    options: compilerOptions,
    ...(before && { oldProgram: before }),
  });
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(`${repository}dist/`));
  expect(ours.map(({ fileName }) => fileName)).toContain(types);
  const errors = ours
    .flatMap((file): readonly ts.Diagnostic[] => program.getSemanticDiagnostics(file))
    .map((error) => {
      const file = error.file?.fileName.slice(repository.length);
      return `${file}: ${ts.flattenDiagnosticMessageText(error.messageText, '\n')}`;
    });
  return { errors, program };
}

describe('the public API', () => {
  it('is the reviewed one', () => {
    const entryPoints = subPaths.map(({ name, import: esm }) => ({
      name,
      types: `${repository}${esm.types}`,
    }));
    const now = `${head}\n${apiReport(entryPoints)}`;
    if (process.env.UPDATE_API) writeFileSync(snapshot, now);
    expect(now, `differs from public-api.md; if that is meant: ${howToUpdate}`).toBe(
      readFileSync(snapshot, 'utf8'),
    );
  });

  it.each(['import', 'require'] as const)(
    'needs no optional peer for the types of the root (%s)',
    (system) => {
      const root = subPaths.find(({ name }) => name === 'nestjs-worker');
      const needed = packagesNeededBy(`${repository}${root?.[system].types}`);
      const given = new Set([
        ...Object.keys(packageJson.dependencies),
        ...Object.keys(packageJson.peerDependencies).filter((name) => !optionalPeers.includes(name)),
      ]);

      expect(needed.length).toBeGreaterThan(0);
      expect(needed.filter((name) => !name.startsWith('node:') && !given.has(name))).toEqual([]);
    },
  );

  it.each(['import', 'require'] as const)(
    'compiles for users who check the declarations of libraries (%s)',
    (system) => {
      let before: ts.Program | undefined;
      for (const entry of subPaths) {
        const types = ts.sys.resolvePath(`${repository}${entry[system].types}`);
        const { errors, program } = errorsOfDeclarations(types, before);
        expect(errors).toEqual([]);
        before = program;
      }
    },
    60_000,
  );
});
