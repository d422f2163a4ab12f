export type { HttpCommand } from './documents/command.js';
export type { HttpOptions } from './http-options.js';
export { type HttpErrorCode, httpErrorCodes } from './problem.js';
export { scaledObject, type ScaledObjectOptions, type ScalerAuthMode } from './scaled-object.js';
export {
  type GuardReference,
  WorkerHttpModule,
  type WorkerHttpModuleAsyncOptions,
  type WorkerHttpModuleOptions,
  type WorkerHttpOptions,
  type WorkerHttpPlace,
} from './worker-http.module.js';
