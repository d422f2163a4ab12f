export type { Clock, Duration } from './clock/index.js';
export {
  DuplicateNameError,
  errorCodes,
  InvalidOptionError,
  isWorkError,
  MiddlewareNotFoundError,
  NextCalledTwiceError,
  PeerNotFoundError,
  PoolOptionsConflictError,
  PoolStoppingError,
  WorkerDisabledError,
  WorkerNotFoundError,
  WorkerNotStaticError,
  WorkerStuckError,
  WorkerWithoutRunError,
  WorkError,
  type WorkErrorCode,
} from './errors/index.js';
export type {
  AbortReason,
  ChildKind,
  ErrorInfo,
  WorkEvent,
  WorkEventMap,
  WorkEventType,
} from './events/index.js';
export {
  AttemptAbortedError,
  currentContext,
  currentExecutionId,
  currentLogger,
  currentTracer,
  currentWorkerName,
  type LogFields,
  type Middleware,
  type MiddlewareFunction,
  type Next,
  type WorkContext,
  type WorkLogger,
  type WorkSpan,
  type WorkTracer,
} from './execution/index.js';
export type { ChildSnapshot, Orphan, PoolSnapshot, PoolStatus, StopReport } from './pool/index.js';
export type { BackoffFunction, BackoffOptions, OnExhausted, RestartMode } from './supervision/index.js';
export {
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerExecution,
  type WorkerMiddleware,
  WorkerModule,
  type WorkerOptions,
  WorkerPool,
  type WorkerPoolOptions,
  WorkerPoolService,
  type WorkerRegistration,
  type WorkerStatus,
} from './workers/index.js';
