import { types } from 'node:util';
import { DiscardError } from '../../errors/index.js';

/** Makes of what came back from a thread instead of a result an error that says what happened in the call `name`. */
export function errorOfThread(name: string, path: string, exported: string, thrown: unknown): unknown {
  if (isEmptyObject(thrown)) {
    // What becomes of a DOMException on its way, and of the error that a result cannot be copied.
    return new Error(
      `"${name}" threw or returned in its thread what cannot be copied out of it. Throw an Error, and return plain ` +
        'data: no functions, and no instances of classes.',
    );
  }
  if (isNamed(thrown, 'DataCloneError') || codeOf(thrown) === 'ERR_MISSING_TRANSFERABLE_IN_TRANSFER_LIST') {
    return new DiscardError(
      `The input or the result of "${name}" cannot be copied between threads: ${messageOf(thrown)} ` +
        'Give and return plain data: no functions, and nothing that an earlier attempt has moved away.',
      { cause: thrown },
    );
  }
  if (!types.isNativeError(thrown)) return thrown;
  if (thrown.message.startsWith('No handler function exported from')) {
    const what = exported === 'default' ? 'no function as its default export' : `no function "${exported}"`;
    return new DiscardError(`${path} exports ${what}, so nothing was run in a thread.`, { cause: thrown });
  }
  const exit = /^worker exited with code: (-?\d+)$/.exec(thrown.message);
  if (exit !== null) {
    return new Error(
      `The thread of "${name}" ended by itself with exit code ${exit[1]}, before it had a result. Does the code in it ` +
        'call process.exit()?',
      { cause: thrown },
    );
  }
  restoreName(thrown);
  // That of the other side: the class is lost on the way.
  return isNamed(thrown, 'DiscardError') ? new DiscardError(thrown.message, { cause: thrown }) : thrown;
}

// Only the names of the language's own errors come across. The stack begins with the true one.
function restoreName(error: Error): void {
  const [, name] = /^([\w$]+)(?: \[\w+\])?(?::|\n|$)/.exec(error.stack ?? '') ?? [];
  if (error.name !== 'Error' || name === undefined || name === 'Error') return;
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
}

function isEmptyObject(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !('message' in value) &&
    !Array.isArray(value) &&
    Object.keys(value).length === 0
  );
}

const isNamed = (value: unknown, name: string): boolean =>
  (value as Partial<Error> | null | undefined)?.name === name;

const codeOf = (value: unknown): unknown =>
  (value as Partial<NodeJS.ErrnoException> | null | undefined)?.code;

const messageOf = (value: unknown): string => String((value as Partial<Error>).message);
