import type { WorkEvent, WorkEventType } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { isLogged, logLifecycle } from '../../lib/pool/lifecycle-log.js';
import { RecordingLogger, silentLogger } from '../support/recording-logger.js';

const base = { kind: 'worker', name: 'relay', executionId: 'id-1', time: 0 } as const;
const error = { name: 'Error', message: 'boom', stack: 'Error: boom\n  at x' };

const lines: [type: WorkEventType, event: object, level: string, message: string, extra?: object][] = [
  ['deferred', { delayMs: 100 }, 'log', 'Worker "relay" starts in 100 ms'],
  ['started', { attempt: 1, maxAttempts: 3, restart: false }, 'log', 'Worker "relay" started'],
  [
    'started',
    { attempt: 2, maxAttempts: 3, restart: true },
    'log',
    'Worker "relay" restarted',
    { attempt: 2 },
  ],
  ['backoff', { delayMs: 1_500, attempt: 2 }, 'warn', 'Worker "relay" restarts in 1500 ms', { attempt: 2 }],
  [
    'stalled',
    { silentMs: 10_000 },
    'warn',
    'Worker "relay" gave no heartbeat for 10 s: aborting the attempt',
  ],
  [
    'stuck',
    { reason: 'timeout', graceMs: 10_000 },
    'error',
    'Worker "relay" is stuck: it did not end within 10 s of being aborted (timeout)',
  ],
  ['stopping', { reason: 'shutdown' }, 'log', 'Worker "relay" is stopping (shutdown)'],
  ['succeeded', { durationMs: 250 }, 'log', 'Worker "relay" succeeded after 250 ms'],
  [
    'failed',
    { durationMs: 250, error },
    'error',
    'Worker "relay" failed after 250 ms: boom',
    { err: { type: 'Error', ...error } },
  ],
  ['cancelled', { durationMs: 0, reason: 'shutdown' }, 'log', 'Worker "relay" stopped (shutdown)'],
  [
    'cancelled',
    { durationMs: 0, reason: 'shutdown', error },
    'warn',
    'Worker "relay" stopped (shutdown) with an error: boom',
    { err: { type: 'Error', ...error } },
  ],
  [
    'exhausted',
    { because: 'max-attempts', attempts: 3 },
    'error',
    'Worker "relay" is exhausted and will not be restarted (max-attempts)',
    { attempts: 3 },
  ],
  [
    'orphaned',
    { reason: 'shutdown' },
    'error',
    'Worker "relay" is orphaned: it still runs at the end of the time to stop, and is left behind',
  ],
  ['registered', { enabled: false }, 'log', 'Worker "relay" is disabled in this process'],
];

function log(event: object): RecordingLogger {
  const logger = new RecordingLogger();
  logLifecycle({ ...base, ...event } as WorkEvent, logger);
  return logger;
}

describe('a lifecycle line', () => {
  it.each(lines)('for %s %o', (type, event, level, message, extra) => {
    expect(log({ type, ...event }).lines).toEqual([
      {
        level,
        message,
        fields: { worker: 'relay', workerExecutionID: 'id-1', ...extra },
        given: [{ worker: 'relay', workerExecutionID: 'id-1', ...extra }],
      },
    ]);
  });

  it('is not written for a registration or a mark', () => {
    expect(log({ type: 'registered', enabled: true }).lines).toEqual([]);
    expect(log({ type: 'marked', action: 'x', durationMs: 1, outcome: 'success' }).lines).toEqual([]);
  });

  it('is not made for a logger that does not want its level', () => {
    const started = { ...base, type: 'started', attempt: 1, maxAttempts: 1, restart: false } as const;
    expect(isLogged(started, silentLogger)).toBe(false);
    expect(isLogged(started, new RecordingLogger())).toBe(true);
  });

  it('names a queue by its field', () => {
    const { lines: written } = log({
      type: 'stopping',
      reason: 'shutdown',
      kind: 'task-queue',
      name: 'mails',
    });
    expect(written).toMatchObject([
      { message: 'Task queue "mails" is stopping (shutdown)', fields: { queue: 'mails' } },
    ]);
  });
});
