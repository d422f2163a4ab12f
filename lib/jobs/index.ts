export type { AroundEnqueueing, EnqueueCall } from './around-enqueueing.js';
export { CancelJob, DiscardJob, SnoozeJob } from './control-flow.js';
export { drainJobs } from './drain-jobs.js';
export type { DrainJobsOptions } from './drain-jobs-options.js';
export type { DrainedQueue, DrainLeft, LeftCause, LeftJob } from './drain-jobs-tally.js';
export {
  type BlockingClaimOptions,
  type CancelAnswer,
  type CancelOptions,
  type ClaimedJob,
  type ClaimLimits,
  type ClaimOptions,
  type CountOptions,
  type DeadCause,
  deathDecayMs,
  countedDeaths,
  deathsAt,
  type DeleteAnswer,
  type EnqueueAnswer,
  type Extension,
  historyLimit,
  type JobAttempt,
  type JobBackend,
  type JobBackendCapabilities,
  type JobBackendHost,
  type JobOrigin,
  type JobPage,
  type JobState,
  type LeaseKeeper,
  type LeaseKeeperOptions,
  type ListOptions,
  type NewJob,
  type QueueCounts,
  type RetryAnswer,
  type Settlement,
  type SettleAnswer,
  type StoredJob,
  type ThroughputBucket,
} from './job-backend.js';
export type { Job, JobContext, RunnableJob } from './job.js';
export type { PayloadCodec, PayloadFormat } from './payload-codec.js';
export type { EnqueuedJob, EnqueueManyOptions, EnqueueOptions } from './enqueue-options.js';
export type { EnqueueTally } from './enqueuer.js';
export { InjectJobQueue } from './inject-job-queue.decorator.js';
export type { JobConsumer } from './job-consumer.js';
export type { JobConsumerSnapshot } from './job-consumer-snapshot.js';
export { JobHandler, type JobHandlerDecorator } from './job-handler.decorator.js';
export type { JobRequest } from './job-handler.explorer.js';
export type { JobHandlerMiddlewareReference, JobHandlerOptions } from './job-handler-options.js';
export type { HeaderProvider } from './job-maker.js';
export type {
  JobClaim,
  JobDraft,
  JobMiddleware,
  JobMiddlewareClass,
  JobMiddlewareReference,
} from './job-middleware.js';
export { type JobListOptions, JobQueue, type WaitOptions } from './job-queue.js';
export type { JobLimits, JobQueueOptions } from './job-queue-options.js';
export { JobRegistry, jobRegistryOf } from './job-registry.js';
export { jobOutcomes } from './job-tally.js';
export type { RunEnd } from './job-runner.js';
export type { JobView, JobViewPage } from './job-view.js';
export {
  type JobQueueAsyncOptions,
  JobsModule,
  type JobsModuleAsyncOptions,
  type JobsModuleOptions,
} from './jobs.module.js';
export { getJobQueueToken, JOB_REGISTRY } from './jobs.tokens.js';
export { MemoryJobBackend, type MemoryJobBackendOptions } from './memory-job-backend.js';
