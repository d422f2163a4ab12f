/** Every code that an error of this package can carry, and when it is raised. A code never changes its meaning. */
export const errorCodes = {
  ATTEMPT_ABORTED: 'the reason of `ctx.signal`: the attempt was told to end',
  DISCARD: 'thrown by a task: this failure is final, do not try again',
  DUPLICATE_NAME: 'two workers (or two of another kind) have one name',
  INVALID_OPTION: 'an option has a value that is not accepted, is unknown, or contradicts another',
  MIDDLEWARE_NOT_FOUND: 'a middleware class is listed but not provided in any module',
  NEXT_CALLED_TWICE: 'a middleware called `next()` more than once',
  PEER_NOT_FOUND: 'an integration was imported but the library it connects to was not found in the app',
  POOL_CONFIGURED_LATE: 'something was registered before the options of the pool were known',
  POOL_OPTIONS_CONFLICT: 'the pool was given two different sets of options',
  POOL_STOPPING: 'work was added or started while the pool was shutting down',
  TASK_INTERRUPTED: 'a task ended without a result: it was cancelled, dropped, or the queue shut down',
  TASK_QUEUE_CLOSED: 'a task was given to a queue that has shut down, or was to run after its shutdown',
  TASK_QUEUE_FULL: 'a task was given to a queue that has no room left',
  WORKER_DISABLED: 'a disabled worker was told to start',
  WORKER_NOT_FOUND: 'no worker of that name is registered',
  WORKER_NOT_STATIC: 'a worker is request-scoped or transient',
  WORKER_STUCK: 'a worker was told to start while an earlier attempt of it still has not ended',
  WORKER_WITHOUT_RUN: 'a worker has no `run(ctx)` method',
} as const;

/** A stable, machine-readable name of an error of this package. */
export type WorkErrorCode = keyof typeof errorCodes;
