import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of package.json, with a slash at its end. */
export const repository = fileURLToPath(new URL('../..', import.meta.url));

export interface PackageJson {
  readonly version: string;
  readonly exports: Readonly<Record<string, string | Readonly<Record<'import' | 'require', Entry>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
}

export interface Entry {
  readonly types: string;
  readonly default: string;
}

export const packageJson = JSON.parse(readFileSync(`${repository}package.json`, 'utf8')) as PackageJson;

export const optionalPeers = Object.keys(packageJson.peerDependenciesMeta).filter(
  (name) => packageJson.peerDependenciesMeta[name]?.optional,
);

/** The code entries of the package: 'nestjs-worker' or 'nestjs-worker/…' with its files per module system. */
export const subPaths = Object.entries(packageJson.exports).flatMap(([path, entry]) =>
  typeof entry === 'string' ? [] : [{ name: path.replace(/^\./, 'nestjs-worker'), ...entry }],
);

/** The files below a folder of the repository, as paths from the top of it, sorted. */
export function filesBelow(folder: string): string[] {
  return readdirSync(`${repository}${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(repository.length).replaceAll('\\', '/'))
    .toSorted();
}
