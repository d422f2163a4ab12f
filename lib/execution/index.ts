export { newScope, selfCollected } from './async-scope.js';
export { AttemptAbortedError } from './attempt-aborted-error.js';
export {
  AttemptContext,
  type AttemptEnvironment,
  type AttemptIdentity,
  type AttemptObserver,
  logFields,
  type WorkContext,
} from './attempt-context.js';
export { Cancellation } from './cancellation.js';
export {
  currentContext,
  currentExecutionId,
  currentLogger,
  currentTracer,
  currentWorkerName,
  outsideOfWork,
} from './current-context.js';
export { Distribution } from './distribution.js';
export { type EventHistory, EventRing } from './event-ring.js';
export { ExecutionRecord } from './execution-record.js';
export { type ExecutionStatus, nextStatus } from './execution-status.js';
export { execute, type Handler } from './executor.js';
export { composeMiddlewares, type Middleware, type MiddlewareFunction, type Next } from './middleware.js';
export { MarkTally, type MarkSeries } from './mark-tally.js';
export { OptionReader } from './option-reader.js';
export type { Outcome } from './outcome.js';
export { LogLine } from './log-line.js';
export { consoleLogger, type LogFields, type LogLevel, noLogger, type WorkLogger } from './work-logger.js';
export { noTracer, type WorkSpan, type WorkTracer } from './work-tracer.js';
