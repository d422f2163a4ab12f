import type { WorkErrorCode } from './error-codes.js';

// On the prototype and registered by name: an error of the ESM copy of this package is recognised by the
// CommonJS copy in the same process, where `instanceof` would fail.
const brand = Symbol.for('nestjs-worker:error:v1');

/** The base of all errors of this package. */
export abstract class WorkError extends Error {
  /** Stable name of this error; the table is in the README. */
  abstract readonly code: WorkErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  get [brand](): true {
    return true;
  }
}

/**
 * Tells whether `value` is an error of this package, and, with `code`, that one. Use it instead of `instanceof`:
 * it holds also where two copies of the package are loaded.
 */
export function isWorkError<Code extends WorkErrorCode>(
  value: unknown,
  code?: Code,
): value is WorkError & { readonly code: Code } {
  if (typeof value !== 'object' || value === null) return false;
  try {
    return brand in value && (code === undefined || (value as WorkError).code === code);
  } catch {
    // What throws when it is looked at is none of ours.
    return false;
  }
}
