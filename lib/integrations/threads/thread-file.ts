import { statSync } from 'node:fs';
import { isAbsolute, parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidOptionError } from '../../errors/index.js';

/** The path of the file that a thread is to load. Throws `InvalidOptionError` where there is none. */
export function pathOfFile(file: unknown): string {
  const path = pathOf(file);
  if (path === undefined) {
    throw invalid(
      file,
      'a file: URL or an absolute path',
      "Write new URL('./resize.js', import.meta.url), or join(__dirname, 'resize.js') in CommonJS.",
    );
  }
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw invalid(
      path,
      'a file that exists',
      'Look for it where this code runs from: is it compiled, or copied, to there, and with which ending?',
    );
  }
  return path;
}

/** What a call is named: after the file, whether that is compiled or not, and after the export. */
export function nameOfCall(path: string, exported: string): string {
  const { name } = parse(path);
  return exported === 'default' ? name : `${name}.${exported}`;
}

function pathOf(file: unknown): string | undefined {
  // By its shape: a URL of another realm is none of ours.
  const text = typeof file === 'object' && file !== null && 'href' in file ? file.href : file;
  if (typeof text !== 'string') return undefined;
  if (!text.startsWith('file:')) return isAbsolute(text) ? text : undefined;
  try {
    return fileURLToPath(text);
  } catch {
    return undefined;
  }
}

function invalid(given: unknown, accepted: string, cure: string): InvalidOptionError {
  return new InvalidOptionError({ owner: 'inThread()', option: 'file', given, accepted, cure });
}
