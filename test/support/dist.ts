import { statSync } from 'node:fs';
import { filesBelow, repository } from './repository.js';

const changedAt = (file: string): number =>
  statSync(`${repository}${file}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;

function requireFresh(source: string, builtLast: string): void {
  const newest = Math.max(...filesBelow(source).map(changedAt));
  if (changedAt(builtLast) < newest) throw new Error(`dist/ is older than ${source}/: npm run build`);
}

/** For tests of what is built: refuses to test an old build. */
export function requireFreshBuild(): void {
  requireFresh('lib', 'dist/cjs/package.json');
}

/** The same, for tests of the sample app. */
export function requireFreshSampleApp(): void {
  requireFreshBuild();
  requireFresh('sample-app', 'dist/sample-app/main.js');
}
