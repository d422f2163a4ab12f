import { formatDuration } from '../clock/index.js';
import type { ErrorInfo, WorkEvent } from '../events/index.js';
import { type LogLevel, logFields, type WorkLogger } from '../execution/index.js';

/** Of events about single tasks and jobs, the types that are logged: nothing that goes well. */
export const loggedOfUnits: readonly WorkEvent['type'][] = ['failed', 'stuck'];

/** How loudly an event is logged, if at all. */
function levelOf(event: WorkEvent): LogLevel | undefined {
  switch (event.type) {
    case 'marked':
      return undefined;
    case 'cancelled':
      if (isOfUnit(event)) return undefined;
      return event.error === undefined ? 'log' : 'warn';
    case 'backoff':
    case 'stalled':
      return 'warn';
    case 'failed':
      return event.retry === undefined ? 'error' : 'warn';
    case 'orphaned':
      // Its queue names the tasks that it leaves behind.
      return isOfUnit(event) ? undefined : 'error';
    case 'stuck':
    case 'exhausted':
      return 'error';
    default:
      return isOfUnit(event) ? undefined : 'log';
  }
}

/** Whether it is about a single task or job. */
function isOfUnit({ task, jobId }: WorkEvent): boolean {
  return task !== undefined || jobId !== undefined;
}

// A copy: pino's error serializer writes into what it is given, and events are frozen. Without a prototype, whose
// constructor that serializer would take for the error's type.
const errorField = (error: ErrorInfo): Record<string, unknown> => ({
  err: Object.assign(Object.create(null) as object, { type: error.name, ...error }),
});

const titles: Record<WorkEvent['kind'], string> = {
  worker: 'Worker',
  'task-queue': 'Task queue',
  'job-consumer': 'Job consumer',
};

/** Whether an event is one for the log. Asked first, of each event: it costs next to nothing. */
export function isLogged(event: WorkEvent, logger: WorkLogger): boolean {
  const level = levelOf(event);
  return level !== undefined && logger.isEnabled?.(level) !== false;
}

/** Tells the log of an event, and answers what the logger does, which may be a promise. */
export function logLifecycle(event: WorkEvent, logger: WorkLogger): unknown {
  const level = levelOf(event);
  const line = lineFor(event);
  if (level === undefined || line === undefined) return undefined;
  const [text, fields] = line;
  const title = `${titles[event.kind]} "${event.name}"`;
  return logger[level](`${subjectOf(event, title)} ${text}`, { ...logFields(event), ...fields });
}

function lineFor(event: WorkEvent): readonly [text: string, fields?: Record<string, unknown>] | undefined {
  switch (event.type) {
    case 'registered':
      return event.enabled ? undefined : ['is disabled in this process'];
    case 'deferred':
      return [`starts in ${formatDuration(event.delayMs)}`];
    case 'started':
      return event.restart ? ['restarted', { attempt: event.attempt }] : ['started'];
    case 'backoff':
      return [`restarts in ${formatDuration(event.delayMs)}`, { attempt: event.attempt }];
    case 'stalled':
      return [`gave no heartbeat for ${formatDuration(event.silentMs)}: aborting the attempt`];
    case 'stuck': {
      const grace = formatDuration(event.graceMs);
      return [`is stuck: it did not end within ${grace} of being aborted (${event.reason})`];
    }
    case 'stopping':
      return [`is stopping (${event.reason})`];
    case 'succeeded':
      return [`succeeded after ${formatDuration(event.durationMs)}`];
    case 'failed': {
      const { error, durationMs, retry, interrupted } = event;
      const next =
        retry !== undefined
          ? ` and is tried again in ${formatDuration(retry.delayMs)}`
          : interrupted !== undefined
            ? ` and is not tried again (${interrupted})`
            : '';
      return [`failed after ${formatDuration(durationMs)}${next}: ${error.message}`, errorField(error)];
    }
    case 'cancelled':
      return event.error === undefined
        ? [`stopped (${event.reason})`]
        : [`stopped (${event.reason}) with an error: ${event.error.message}`, errorField(event.error)];
    case 'exhausted':
      return [`is exhausted and will not be restarted (${event.because})`, { attempts: event.attempts }];
    case 'orphaned': {
      const tasks = event.tasks === undefined ? '' : `, with ${event.tasks.join(', ')}`;
      return [`is orphaned: it still runs at the end of the time to stop, and is left behind${tasks}`];
    }
    case 'marked':
    case 'snoozed':
      return undefined;
  }
}

function subjectOf({ task, jobId }: WorkEvent, title: string): string {
  if (task !== undefined) return `Task "${task}" in ${lowerFirst(title)}`;
  return jobId === undefined ? title : `Job ${jobId} in ${lowerFirst(title)}`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
