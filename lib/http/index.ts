export type { CommandDocument } from './documents/command.js';
export type { ErrorDocument } from './documents/parts.js';
export type { Access, OverviewDocument } from './documents/overview.js';
export type { HttpOptions } from './http-options.js';
export { type HttpErrorCode, httpErrorCodes } from './problem.js';
export { scaledObject, type ScaledObjectOptions } from './scaled-object.js';
export {
  type GuardReference,
  WorkerHttpModule,
  type WorkerHttpModuleAsyncOptions,
  type WorkerHttpModuleOptions,
  type WorkerHttpOptions,
  type WorkerHttpPlace,
} from './worker-http.module.js';
