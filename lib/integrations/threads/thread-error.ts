import { types } from 'node:util';
import { DiscardError } from '../../errors/index.js';

/** Makes of what came back from a thread instead of a result an error that says what happened in the call `name`. */
export function errorOfThread(name: string, path: string, exported: string, thrown: unknown): unknown {
  if (types.isNativeError(thrown)) restoreFromStack(thrown);
  if (isEmptyObject(thrown)) {
    // What becomes on Node 20 of a DOMException on its way, such as the one that a result cannot be copied.
    return new Error(
      `"${name}" threw or returned in its thread what cannot be copied out of it. Throw an Error, and return plain ` +
        'data: no functions, and no instances of classes.',
    );
  }
  if (isNamed(thrown, 'DataCloneError') || codeOf(thrown) === 'ERR_MISSING_TRANSFERABLE_IN_TRANSFER_LIST') {
    return new DiscardError(
      `The input or the result of "${name}" cannot be copied between threads (${messageOf(thrown)}). ` +
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
  // That of the other side: the class is lost on the way.
  return isNamed(thrown, 'DiscardError') ? new DiscardError(thrown.message, { cause: thrown }) : thrown;
}

// Of names only those of the language's own errors come across, and what a getter answers does not. The stack has both.
function restoreFromStack(error: Error): void {
  const [, name, message] = /^([\w$]+)(?: \[\w+\])?(?:: (.*))?/.exec(error.stack ?? '') ?? [];
  const restore = (property: string, value: string): unknown =>
    Object.defineProperty(error, property, { value, configurable: true, writable: true });
  if (error.name === 'Error' && name !== undefined && name !== 'Error') restore('name', name);
  if (error.message === '' && message !== undefined) restore('message', message);
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
