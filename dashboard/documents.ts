import type { Static } from '@sinclair/typebox';
import type { JobPageDocument } from '../lib/http/documents/job.js';

export type { CommandDocument } from '../lib/http/documents/command.js';
export type { EventDocument } from '../lib/http/documents/event.js';
export type {
  JobQueueDocument,
  JobQueueSummary,
  LevelsDocument,
  MinuteDocument,
  SampleDocument,
} from '../lib/http/documents/job-queue.js';
export type { JobDocument, JobSummary } from '../lib/http/documents/job.js';
export type {
  Access,
  BackendDocument,
  ChangeDocument,
  OverviewDocument,
  PoolDocument,
} from '../lib/http/documents/overview.js';
export type { ErrorDocument } from '../lib/http/documents/parts.js';
export type { ProblemDocument } from '../lib/http/documents/problem.js';
export type { RunningDocument } from '../lib/http/documents/running.js';
export type { TaskQueueDocument, TaskQueueSummary } from '../lib/http/documents/task-queue.js';
export type { WorkerDocument, WorkerSummary } from '../lib/http/documents/worker.js';

export type JobPage = Static<typeof JobPageDocument>;
