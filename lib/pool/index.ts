export type { Closable } from './application-shutdown.js';
export type { Child, ChildSnapshot, StopRequest } from './child.js';
export { inTime } from './in-time.js';
export { shareClass } from './shared-class.js';
export { NestWorkLogger } from './nest-logger.service.js';
export { isPool, Pool, type PoolSnapshot, type PoolStatus } from './pool.js';
export {
  type MiddlewareClass,
  type MiddlewareReference,
  type PoolOptions,
  readMiddlewares,
  type ResolvedPoolOptions,
} from './pool-options.js';
export { PoolModule } from './pool.module.js';
export { Quiescence } from './quiescence.js';
export { POOL } from './pool.tokens.js';
export type { Orphan, StopReport } from './stop-children.js';
export { type UnitEnvironment, unitEnvironmentOf } from './unit-environment.js';
