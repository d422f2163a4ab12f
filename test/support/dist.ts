import { statSync } from 'node:fs';
import { filesBelow, repository } from './repository.js';

const changedAt = (file: string): number =>
  statSync(`${repository}${file}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** For tests of what is built: refuses to test an old build. */
export function requireFreshBuild(source = 'lib', builtLast = 'dist/cjs/package.json'): void {
  const newest = Math.max(...filesBelow(source).map(changedAt));
  if (changedAt(builtLast) < newest) throw new Error(`dist/ is older than ${source}/: npm run build`);
}
