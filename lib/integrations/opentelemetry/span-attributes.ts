import type { Attributes } from '@opentelemetry/api';
import type { AttemptIdentity } from '../../execution/index.js';

/** What names an execution on a span. */
export function spanAttributes({ kind, name, executionId, task, jobId }: AttemptIdentity): Attributes {
  if (kind === 'worker') return { Worker: name, WorkerExecutionID: executionId };
  if (jobId !== undefined) return { Queue: name, JobID: jobId, JobExecutionID: executionId };
  return task === undefined ? { Queue: name } : { Queue: name, Task: task, TaskExecutionID: executionId };
}
