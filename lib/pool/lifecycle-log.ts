import { formatDuration } from '../clock/index.js';
import type { WorkEvent } from '../events/index.js';
import { logFields, type WorkLogger } from '../execution/index.js';

/** Tells the log of the event, where it is one for the log. `write` is called at most once. */
export function logLifecycle(event: WorkEvent, write: (line: (logger: WorkLogger) => void) => void): void {
  const line = lineFor(event);
  if (line === undefined) return;
  const [level, message, extra] = line;
  write((logger) =>
    logger[level](message, { ...logFields(event.kind, event.name, event.executionId), ...extra }),
  );
}

type Line = readonly [
  level: 'debug' | 'log' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
];

function lineFor(event: WorkEvent): Line | undefined {
  const name = `${titles[event.kind]} "${event.name}"`;
  switch (event.type) {
    case 'registered':
      return event.enabled ? undefined : ['log', `${name} is disabled in this process`];
    case 'deferred':
      return ['log', `${name} starts in ${formatDuration(event.delayMs)}`];
    case 'started':
      return event.restart
        ? ['log', `${name} restarted`, { attempt: event.attempt }]
        : ['log', `${name} started`];
    case 'backoff':
      return ['warn', `${name} restarts in ${formatDuration(event.delayMs)}`, { attempt: event.attempt }];
    case 'stalled':
      return [
        'warn',
        `${name} gave no heartbeat for ${formatDuration(event.silentMs)}: aborting the attempt`,
      ];
    case 'stuck':
      return [
        'error',
        `${name} is stuck: it did not end within ${formatDuration(event.graceMs)} of being aborted (${event.reason})`,
      ];
    case 'stopping':
      return ['log', `${name} is stopping (${event.reason})`];
    case 'succeeded':
      return ['log', `${name} succeeded after ${formatDuration(event.durationMs)}`];
    case 'failed':
      return [
        'error',
        `${name} failed after ${formatDuration(event.durationMs)}: ${event.error.message}`,
        { err: event.error },
      ];
    case 'cancelled':
      return ['log', `${name} stopped (${event.reason})`];
    case 'exhausted':
      return [
        'error',
        `${name} is exhausted and will not be restarted (${event.because})`,
        { attempts: event.attempts },
      ];
    case 'orphaned':
      return [
        'error',
        `${name} is orphaned: it still runs at the end of the time to stop, and is left behind`,
      ];
    case 'marked':
      return undefined;
  }
}

const titles: Record<WorkEvent['kind'], string> = {
  worker: 'Worker',
  'task-queue': 'Task queue',
  'job-consumer': 'Job consumer',
};
