import type { Attributes } from '@opentelemetry/api';
import type { WorkContext } from '../../execution/index.js';

/** What names an execution on a span. */
export function spanAttributes({ kind, name, executionId }: WorkContext): Attributes {
  return kind === 'worker' ? { Worker: name, WorkerExecutionID: executionId } : { Queue: name };
}
