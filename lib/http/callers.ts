import type { Caller } from './operation.js';

/** Who sends a request, from when the guard has let it through. */
export const callers = new WeakMap<object, Caller>();

/** Who gets nothing but what is for everybody. */
export const nobody: Caller = { access: 'viewer', name: null };
