import { inspect } from 'node:util';

/** What is kept of a thrown value: plain data, safe to hold for long and to print. */
export interface ErrorInfo {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** `code` of the error, where it has one (`ECONNREFUSED`, `WORKER_STUCK`, …). */
  readonly code?: string;
  /** `cause` of the error, where it has one: often the only word on why a `fetch` failed. At most four deep. */
  readonly cause?: ErrorInfo;
}

/** Reads a thrown value of any kind, also one that is no error or that throws when it is looked at. */
export function toErrorInfo(thrown: unknown, depth = 4): ErrorInfo {
  try {
    if (!(thrown instanceof Error) && !isErrorLike(thrown)) {
      return Object.freeze({
        name: 'NonError',
        message: typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 2 }),
      });
    }
    const { name, message, stack, code, cause }: Partial<Record<keyof ErrorInfo, unknown>> = thrown;
    const info: { -readonly [Key in keyof ErrorInfo]: ErrorInfo[Key] } = {
      name: String(name),
      message: String(message),
    };
    if (typeof stack === 'string') info.stack = stack;
    if (typeof code === 'string' || typeof code === 'number') info.code = String(code);
    if (cause !== undefined && cause !== null && depth > 0) info.cause = toErrorInfo(cause, depth - 1);
    return Object.freeze(info);
  } catch {
    return Object.freeze({ name: 'NonError', message: 'a value that throws when it is read' });
  }
}

// Errors of another realm (a vm context, Jest) are no `instanceof Error` of ours.
function isErrorLike(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'message' in value && 'stack' in value;
}
