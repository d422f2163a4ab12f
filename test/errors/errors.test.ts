import * as root from 'nestjs-worker';
import { describe, expect, it, vi } from 'vitest';

const { errorCodes, isWorkError, WorkError } = root;

type Make = () => root.WorkError;

/** One of each exported class, with the words that its message must have. */
const samples: Record<string, [make: Make, words: RegExp]> = {
  AttemptAbortedError: [() => new root.AttemptAbortedError('timeout', 'Attempt 1 was aborted'), /Attempt 1/],
  CancelJob: [() => new root.CancelJob('the order is gone'), /^the order is gone$/],
  DiscardJob: [() => new root.DiscardJob('no such address'), /^no such address$/],
  SnoozeJob: [() => new root.SnoozeJob('10m'), /^Snoozed for 10m\.$/],
  EnqueueError: [
    () => new root.EnqueueError('mail', ['id-1'], 'no answer within 5 s'),
    /job id-1 in queue "mail" failed: no answer within 5 s.*again with the same id/,
  ],
  InvalidCursorError: [() => new root.InvalidCursorError('x'), /"x" is none.*Start without one/],
  InvalidPayloadError: [
    () => new root.InvalidPayloadError('mail', 'id-1', 'is no JSON'),
    /id-1 of queue "mail" was refused: its payload is no JSON/,
  ],
  JobBackendError: [
    () => new root.JobBackendError('redis', 'did not answer to a claim within 10 s'),
    /backend "redis" did not answer to a claim within 10 s\./,
  ],
  JobBackendMissingError: [() => new root.JobBackendMissingError('mail'), /"mail" is registered.*forRoot/],
  JobExpiredError: [
    () => new root.JobExpiredError('mail', 'id-1', '2h', '1h'),
    /id-1 of queue "mail" was not run.*2h ago.*maxAge is 1h/,
  ],
  JobHandlerNotFoundError: [
    () => new root.JobHandlerNotFoundError('mail', 'welcome', ['', 'bye']),
    /"mail" has no handler for jobs named "welcome"; there are handlers for jobs without a name, "bye".*Add/,
  ],
  JobHandlerWithoutHandleError: [
    () => new root.JobHandlerWithoutHandleError('Mailer in A'),
    /Mailer in A.*no handle\(\).*Add/,
  ],
  JobNotCompletedError: [
    () => new root.JobNotCompletedError('mail', 'id-1', 'is dead (discarded)'),
    /^Job id-1 of queue "mail" is dead \(discarded\)\.$/,
  ],
  JobQueueNotFoundError: [
    () => new root.JobQueueNotFoundError('mail', 'Mailer in A', ['a']),
    /Mailer in A is for queue "mail".*registered are "a".*registerQueue/,
  ],
  DiscardError: [() => new root.DiscardError('no such address'), /^no such address$/],
  DuplicateNameError: [
    () => new root.DuplicateNameError('worker', 'relay', 'Relay in A', 'Relay in B'),
    /"relay": Relay in A and Relay in B.*another name/,
  ],
  InvalidOptionError: [
    () =>
      new root.InvalidOptionError({
        owner: 'worker "relay"',
        option: 'timeout',
        given: -1,
        accepted: 'more',
        cure: 'Do.',
      }),
    /"timeout" of worker "relay" is -1, but accepted is more\. Do\./,
  ],
  MiddlewareNotFoundError: [
    () => new root.MiddlewareNotFoundError('Timing', 'worker "relay"'),
    /Timing of worker "relay".*Add Timing to the providers/,
  ],
  NextCalledTwiceError: [() => new root.NextCalledTwiceError('Timing'), /Timing called next\(\) twice/],
  PeerNotFoundError: [
    () =>
      new root.PeerNotFoundError('WorkerLoggingModule', 'no PinoLogger is provided', 'Import LoggerModule.'),
    /WorkerLoggingModule was imported, but no PinoLogger.*Import LoggerModule\./,
  ],
  PoolConfiguredLateError: [
    () => new root.PoolConfiguredLateError('WorkerModule.forRoot()', 'relay'),
    /WorkerModule\.forRoot\(\).*"relay".*onModuleInit/,
  ],
  PoolOptionsConflictError: [
    () => new root.PoolOptionsConflictError(['timeout', 'backoff']),
    /\(timeout, backoff\).*forRoot\(\).*once/,
  ],
  PoolStoppingError: [
    () => new root.PoolStoppingError('Adding worker "x"'),
    /^Adding worker "x" was refused/,
  ],
  TaskInterruptedError: [
    () => new root.TaskInterruptedError('render', 'mail', 'shutdown', 'while it waited for its turn'),
    /"render" in queue "mail" was interrupted by the shutdown while it waited for its turn/,
  ],
  TaskQueueClosedError: [
    () => new root.TaskQueueClosedError('mail', 'has shut down'),
    /"mail" has shut down.*Nothing of the task was run/,
  ],
  TaskQueueFullError: [
    () => new root.TaskQueueFullError('mail', 100),
    /"mail" is full: 100 tasks wait already.*raise maxQueued/,
  ],
  WorkerDisabledError: [() => new root.WorkerDisabledError('relay'), /"relay" is disabled.*`enabled: true`/],
  WorkerNotFoundError: [() => new root.WorkerNotFoundError('x', ['a', 'b']), /"x"; registered are "a", "b"/],
  WorkerNotStaticError: [
    () => new root.WorkerNotStaticError('Relay in A', 'request-scoped'),
    /Relay in A is request-scoped.*Remove the scope/,
  ],
  WorkerStuckError: [
    () => new root.WorkerStuckError('relay', 'id-1'),
    /"relay".*id-1.*never runs beside itself/,
  ],
  WorkerWithoutRunError: [() => new root.WorkerWithoutRunError('Relay in A'), /Relay in A.*no run\(\).*Add/],
};

const exportedClasses = Object.entries(root).filter(
  ([, value]) => typeof value === 'function' && value.prototype instanceof WorkError,
);

describe('the error table', () => {
  it('has every exported error class', () => {
    expect(Object.keys(samples).toSorted()).toEqual(exportedClasses.map(([name]) => name).toSorted());
  });

  it('has one class for each code and one code for each class', () => {
    // A subclass stands for its class: whoever looks for the code finds both.
    const isSubclass = (error: root.WorkError): boolean =>
      exportedClasses.some(
        ([, parent]) => error.constructor !== parent && error instanceof (parent as never),
      );
    const errors = Object.values(samples).map(([make]) => make());
    const codes = errors.filter((error) => !isSubclass(error)).map(({ code }) => code);
    expect(errors.filter(isSubclass).map(({ name }) => name)).toEqual(['DiscardJob']);
    expect(codes.toSorted()).toEqual(Object.keys(errorCodes).toSorted());
  });

  it.each(Object.entries(samples))('%s says what, who and the cure', (name, [make, words]) => {
    const error = make();
    expect(error).toBeInstanceOf(WorkError);
    expect(error.constructor).toBe(Object.fromEntries(exportedClasses)[name]);
    expect(error.message).toMatch(words);
    expect(error.message).not.toMatch(/undefined|\[object|\s$/);
    expect(error.name).toBe(name === 'AttemptAbortedError' ? 'AbortError' : name);
    expect(error.stack).toContain('errors.test.ts');
  });

  it('names ten of many known workers and counts the rest', () => {
    const names = Array.from({ length: 25 }, (_, index) => `w${index}`);
    const { message } = new root.WorkerNotFoundError('x', names);
    expect(message).toContain('"w9" and 15 more');
    expect(message).not.toContain('w10');
    expect(new root.WorkerNotFoundError('x', []).message).toBe('No worker is named "x"; none is registered.');
  });

  it('cuts a long value short in the message', () => {
    const error = new root.InvalidOptionError({
      owner: 'o',
      option: 'p',
      given: { deep: { deeper: { deepest: 1 } }, text: 'x'.repeat(10_000) },
      accepted: 'a',
      cure: 'c',
    });
    expect(error.message.length).toBeLessThan(500);
    expect(error).toMatchObject({ owner: 'o', option: 'p' });
  });
});

describe('isWorkError', () => {
  it('knows an error by its brand and its code', () => {
    const error: unknown = new root.WorkerNotFoundError('x', []);
    expect(isWorkError(error)).toBe(true);
    expect(isWorkError(error, 'WORKER_NOT_FOUND')).toBe(true);
    expect(isWorkError(error, 'WORKER_STUCK')).toBe(false);
  });

  it.each([undefined, null, 0, 'WORKER_NOT_FOUND', new Error('x'), { code: 'WORKER_NOT_FOUND' }])(
    'refuses %s',
    (value) => {
      expect(isWorkError(value)).toBe(false);
    },
  );

  it('knows errors of another loaded copy, where instanceof fails', async () => {
    vi.resetModules();
    const copy = await import('../../lib/errors/index.js');
    expect(copy.WorkError).not.toBe(WorkError);
    const foreign: unknown = new copy.WorkerStuckError('relay', 'id-1');
    expect(foreign).not.toBeInstanceOf(WorkError);
    expect(isWorkError(foreign, 'WORKER_STUCK')).toBe(true);
    expect(copy.isWorkError(new root.WorkerDisabledError('x'), 'WORKER_DISABLED')).toBe(true);
  });
});
