import { type Static, Type } from '@sinclair/typebox';
import { JobQueueSummary } from './job-queue.js';
import { count, document, nullable, oneOf, time } from './parts.js';
import { TaskQueueSummary } from './task-queue.js';
import { WorkerSummary } from './worker.js';

/** What the caller may do. */
export type Access = 'viewer' | 'operator';

const PoolDocument = document('Pool', {
  status: oneOf(['idle', 'started', 'draining', 'stopped', 'closed']),
  draining: Type.Boolean({ description: 'Whether shutdown has begun' }),
  isolated_errors: count('How often user code beside the work has thrown'),
});
export type PoolDocument = Static<typeof PoolDocument>;

const BackendDocument = document('JobBackend', {
  name: Type.String({ description: 'memory, redis, …' }),
  durable: Type.Boolean({ description: 'Whether jobs survive the process' }),
  shared: Type.Boolean({ description: 'Whether other processes share them' }),
  status: oneOf(['up', 'degraded', 'down']),
  error: nullable(Type.String(), 'Why it cannot be used just now; for operators only'),
});
export type BackendDocument = Static<typeof BackendDocument>;

/** Why a backend cannot be reached names its hosts. */
export function backendFor(access: Access, backend: BackendDocument | null): BackendDocument | null {
  return access === 'operator' || backend === null ? backend : { ...backend, error: null };
}

/** Everything at one glance. */
export const OverviewDocument = document('Overview', {
  now: time('The time of this process'),
  title: Type.String(),
  access: oneOf(['viewer', 'operator'], 'What the caller may do'),
  pool: PoolDocument,
  backend: nullable(BackendDocument, 'Where jobs are kept; null: there are no job queues'),
  workers: Type.Array(WorkerSummary),
  task_queues: Type.Array(TaskQueueSummary),
  job_queues: Type.Array(JobQueueSummary),
});
export type OverviewDocument = Static<typeof OverviewDocument>;

/** What has changed since the event before: those that have, whole; what has not is left out. */
export const ChangeDocument = document('Change', {
  now: time('The time of this process'),
  pool: Type.Optional(PoolDocument),
  backend: Type.Optional(nullable(BackendDocument)),
  workers: Type.Optional(Type.Array(WorkerSummary)),
  task_queues: Type.Optional(Type.Array(TaskQueueSummary)),
  job_queues: Type.Optional(Type.Array(JobQueueSummary)),
});
export type ChangeDocument = Static<typeof ChangeDocument>;
