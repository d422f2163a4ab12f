import type { Type } from '@nestjs/common';
import { type Job, type JobContext, JobHandler, type JobHandlerOptions } from 'nestjs-worker';

/** A handler class of `queue` that does what a test says. */
export function jobHandler<Payload>(
  queue: string,
  handle: (job: Job<Payload>, ctx: JobContext) => unknown,
  options: JobHandlerOptions = {},
): Type {
  class TestHandler {
    handle(job: Job<Payload>, ctx: JobContext): unknown {
      return handle(job, ctx);
    }
  }
  JobHandler(queue, options)(TestHandler);
  return TestHandler;
}
