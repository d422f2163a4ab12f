/** Injection token of the pool. Fixed, so that two copies of this package in one app find the same one. */
export const POOL: unique symbol = Symbol.for('nestjs-worker:pool') as never;
