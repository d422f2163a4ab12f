import { Inject } from '@nestjs/common';
import { getJobQueueToken } from './jobs.tokens.js';

/** Injects the `JobQueue` that `JobsModule.registerQueue({ name })` made. */
export function InjectJobQueue(name: string): PropertyDecorator & ParameterDecorator {
  return Inject(getJobQueueToken(name));
}
