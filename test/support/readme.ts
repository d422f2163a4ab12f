import { readFileSync } from 'node:fs';
import { repository } from './repository.js';

export const readme = readFileSync(`${repository}README.md`, 'utf8');

/** The TypeScript blocks of the README, by the name in the comment above each. */
export function codeBlocks(): Map<string, string> {
  const named = [...readme.matchAll(/<!-- run: ([\w-]+) -->\n\n```ts\n(.*?)```/gs)];
  return new Map(named.map(([, name = '', code = '']) => [name, code]));
}

/** Text below a heading, up to the next one of any level. */
export function section(heading: string): string {
  const begin = readme.indexOf(`\n${heading}\n`);
  if (begin < 0) throw new Error(`README.md has no heading "${heading}"`);
  const body = begin + heading.length + 2;
  const end = readme.slice(body).search(/^#/m);
  return readme.slice(body, end < 0 ? undefined : body + end);
}

/** The first cells of a section's table rows that hold code: `name`. */
export function codesIn(text: string): string[] {
  return [...text.matchAll(/^\| `([\w.]+)[^|]*\|/gm)].map(([, code = '']) => code);
}
