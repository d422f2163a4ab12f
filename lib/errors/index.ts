export { errorCodes, type WorkErrorCode } from './error-codes.js';
export { ignoreRejection } from './ignore-rejection.js';
export { InvalidOptionError, type InvalidOption } from './invalid-option-error.js';
export { isWorkError, WorkError } from './work-error.js';
export {
  DuplicateNameError,
  MiddlewareNotFoundError,
  NextCalledTwiceError,
  PeerNotFoundError,
  PoolConfiguredLateError,
  PoolOptionsConflictError,
  PoolStoppingError,
  WorkerDisabledError,
  WorkerNotFoundError,
  WorkerNotStaticError,
  WorkerStuckError,
  WorkerWithoutRunError,
} from './errors.js';
export {
  DiscardError,
  TaskInterruptedError,
  TaskQueueClosedError,
  TaskQueueFullError,
} from './task-errors.js';
export {
  EnqueueError,
  InvalidCursorError,
  InvalidPayloadError,
  JobBackendError,
  JobBackendMissingError,
  JobExpiredError,
  JobHandlerNotFoundError,
  JobHandlerWithoutHandleError,
  JobNotCompletedError,
  JobQueueNotFoundError,
} from './job-errors.js';
