import type { Attributes } from '@opentelemetry/api';

export interface MessagingOperation {
  readonly operation: 'send' | 'process';
  readonly queue: string;
  /** Of the handler. */
  readonly name: string | undefined;
  /** What keeps the jobs. */
  readonly backend: string | undefined;
}

/** By OpenTelemetry's conventions for messaging: a job is a message, and its queue the destination. */
export function messagingAttributes({ operation, queue, name, backend }: MessagingOperation): Attributes {
  return {
    'messaging.system': 'nestjs-worker',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': queue,
    'job.backend': backend,
    'job.name': name === '' ? undefined : name,
  };
}
