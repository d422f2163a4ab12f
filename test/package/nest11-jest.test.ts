import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Consumer, openConsumer } from './consumer.js';

describe('a Nest 11 project with Jest, in CommonJS', () => {
  let project: Consumer;
  beforeAll(async () => {
    project = await openConsumer('nest11-jest');
  }, 300_000);
  afterAll(() => project?.release());

  it('compiles against the types', async () => {
    expect(await project.run('npx', 'tsc')).toBe('');
  }, 120_000);

  it('passes its tests', async () => {
    const report = JSON.parse(await project.run('npx', 'jest', '--ci', '--json')) as {
      numPassedTests: number;
    };
    expect(report.numPassedTests).toBe(4);
  }, 180_000);
});
