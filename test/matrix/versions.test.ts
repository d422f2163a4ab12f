import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';

const load = createRequire(import.meta.url);
const major = (version: string): string => version.split('.')[0] ?? '';

describe('these tests', () => {
  it.each(['@nestjs/common', '@nestjs/core', '@nestjs/terminus'])(
    'run on the %s that was asked for',
    (name) => {
      const { version } = load(`${name}/package.json`) as { version: string };
      expect(major(version)).toBe(process.env.MATRIX_NEST ?? '12');
    },
  );

  it('run on the Node that was asked for', () => {
    const thisNode = major(process.versions.node);
    expect(thisNode).toBe(process.env.MATRIX_NODE ?? thisNode);
  });
});
