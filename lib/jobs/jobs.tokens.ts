/** Injection token of what there is once of jobs in an app. Fixed: every copy of this package knows it. */
export const JOB_REGISTRY: unique symbol = Symbol.for('nestjs-worker:job-registry') as never;

/** Injection token of the connection to the backend; nothing is behind it where `JobsModule.forRoot()` is missing. */
export const JOB_CONNECTION: unique symbol = Symbol.for('nestjs-worker:job-connection') as never;

/** Injection token of the `JobQueue` of that name. Fixed: every copy of this package knows it. */
export function getJobQueueToken(name: string): symbol {
  return Symbol.for(`nestjs-worker:job-queue:${name}`);
}

/** Injection token of the queue that a module makes, whatever a test puts in the place of the other. */
export function ownJobQueueToken(name: string): symbol {
  return Symbol.for(`nestjs-worker:own-job-queue:${name}`);
}
