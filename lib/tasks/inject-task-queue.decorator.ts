import { Inject } from '@nestjs/common';
import { getTaskQueueToken } from './task-queue.tokens.js';

/** Injects the `TaskQueue` that `TaskQueueModule.register({ name })` made; without a name the default one. */
export function InjectTaskQueue(name?: string): PropertyDecorator & ParameterDecorator {
  return Inject(getTaskQueueToken(name));
}
