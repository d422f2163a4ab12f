export { InjectTaskQueue } from './inject-task-queue.decorator.js';
export type { RunningTask, Task, TaskContext, TaskFunction, TaskOutcome, TaskStatus } from './task.js';
export { type TaskOptions, type TaskPolicyOptions } from './task-options.js';
export { type ShutdownOptions, TaskQueue } from './task-queue.js';
export { TaskQueueChild } from './task-queue-child.js';
export {
  type TaskQueueAsyncOptions,
  TaskQueueModule,
  type TaskQueueModuleExtras,
} from './task-queue.module.js';
export type {
  Overflow,
  TaskMiddleware,
  TaskMiddlewareReference,
  TaskQueueModuleOptions,
  TaskQueueOptions,
} from './task-queue-options.js';
export { TaskQueueSnapshot } from './task-queue-snapshot.js';
export { getTaskQueueToken } from './task-queue.tokens.js';
export { attemptEnds, type MeasuredTasks, type TaskEnd, taskEnds } from './task-tally.js';
