import { defaultQueueName } from './task-queue-options.js';

/** Fixed injection token of the class `TaskQueue`, the same in every copy of this package. */
export const TASK_QUEUE: unique symbol = Symbol.for('nestjs-worker:task-queue-class') as never;

/** Injection token of the queue that a module makes, inside of that module. */
export const OWN_TASK_QUEUE: unique symbol = Symbol.for('nestjs-worker:own-task-queue') as never;

/** Injection token of the queue of that name, or of the default one. Fixed: every copy of this package knows it. */
export function getTaskQueueToken(name: string = defaultQueueName): symbol {
  return Symbol.for(`nestjs-worker:task-queue:${name}`);
}
