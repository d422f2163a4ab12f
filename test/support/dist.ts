import { statSync } from 'node:fs';
import { filesBelow, repository } from './repository.js';

const changedAt = (file: string): number =>
  statSync(`${repository}${file}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** For tests of what is built: refuses to test an old build. */
export function requireFreshBuild(): void {
  const newest = Math.max(...filesBelow('lib').map(changedAt));
  if (changedAt('dist/cjs/package.json') < newest) throw new Error('dist/ is older than lib/: npm run build');
}
