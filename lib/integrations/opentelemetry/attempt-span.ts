import { type SpanOptions, SpanKind } from '@opentelemetry/api';
import type { WorkContext } from '../../execution/index.js';
import type { JobContext } from '../../jobs/index.js';
import type { TaskContext } from '../../tasks/index.js';
import { messagingAttributes } from './messaging-attributes.js';
import { spanAttributes } from './span-attributes.js';

interface AttemptSpan extends SpanOptions {
  readonly name: string;
}

/** What the span of an attempt is to say of it when it begins. `backend`: the name of what keeps the jobs. */
export function attemptSpan(ctx: WorkContext, backend: string | undefined): AttemptSpan {
  if (ctx.kind === 'job-consumer') return jobSpan(ctx as JobContext, backend);
  const { task } = ctx as Partial<TaskContext>;
  const [name, attempt] =
    task === undefined ? [`${ctx.kind} ${ctx.name}`, 'worker.attempt'] : [`task ${task}`, 'task.attempt'];
  return { name, attributes: { ...spanAttributes(ctx), [attempt]: ctx.attempt } };
}

function jobSpan(ctx: JobContext, backend: string | undefined): AttemptSpan {
  const { id, name } = ctx.job;
  return {
    name: `process ${ctx.name}`,
    kind: SpanKind.CONSUMER,
    attributes: {
      ...spanAttributes(ctx),
      ...messagingAttributes({ operation: 'process', queue: ctx.name, name, backend }),
      'messaging.message.id': id,
      'job.attempt': ctx.attempt,
    },
  };
}
