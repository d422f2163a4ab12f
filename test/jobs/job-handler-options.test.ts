import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { resolveJobHandlerOptions } from '../../lib/jobs/job-handler-options.js';
import { delayAfter } from '../../lib/supervision/index.js';
import { thrownBy } from '../support/nest.js';

const owner = 'EmailHandler in MailModule';
const resolve = (options: object, report: (what: string) => void = () => {}) =>
  resolveJobHandlerOptions(owner, options, report);

describe('options of a job handler', () => {
  it('have defaults', () => {
    expect(resolve({})).toEqual({
      name: '',
      concurrency: undefined,
      timeoutMs: undefined,
      abortGraceMs: 10_000,
      maxAttempts: 10,
      backoff: { initialMs: 1_000, factor: 1.6, maxMs: 3_600_000, jitter: 0.2 },
      schema: undefined,
      middlewares: [],
      maxAgeMs: undefined,
      keepCompletedMs: 0,
      keepCancelledMs: 0,
      maxDead: 10_000,
    });
  });

  it('are read', () => {
    const schema = z.string();
    const middleware = () => Promise.resolve();
    const read = resolve({
      name: 'welcome',
      concurrency: 5,
      timeout: '1m',
      abortGrace: '1s',
      maxAttempts: Infinity,
      backoff: { initial: '5s', jitter: false },
      schema,
      middlewares: [middleware],
      maxAge: '1h',
      keepCompleted: '1d',
      keepCancelled: '2d',
      maxDead: 5,
    });
    expect(read).toEqual({
      name: 'welcome',
      concurrency: 5,
      timeoutMs: 60_000,
      abortGraceMs: 1_000,
      maxAttempts: Infinity,
      backoff: { initialMs: 5_000, factor: 1.6, maxMs: 3_600_000, jitter: 0 },
      schema,
      middlewares: [middleware],
      maxAgeMs: 3_600_000,
      keepCompletedMs: 86_400_000,
      keepCancelledMs: 172_800_000,
      maxDead: 5,
    });
  });

  it('take Infinity for no limit', () => {
    expect(resolve({ timeout: Infinity, maxAge: Infinity })).toMatchObject({
      timeoutMs: undefined,
      maxAgeMs: undefined,
    });
  });

  it('wait by default for a second, growing by 1.6 up to an hour, and spread a fifth of it', () => {
    const { backoff } = resolve({});
    expect([1, 2, 3].map((failures) => delayAfter(backoff, failures, undefined, 0))).toEqual([
      1_000,
      1_600,
      expect.closeTo(2_560),
    ]);
    expect(delayAfter(backoff, 1, undefined, 1)).toBe(800);
    expect(delayAfter(backoff, 1_000, undefined, 0)).toBe(3_600_000);
  });

  it('survive a backoff function that fails', () => {
    const reported: string[] = [];
    const backoff = (): never => {
      throw new Error('boom');
    };
    const read = resolve({ backoff }, (what) => reported.push(what));
    expect(delayAfter(read.backoff, 1, undefined, 0)).toBeGreaterThan(0);
    expect(reported).toEqual([`the backoff function of ${owner}`]);
  });

  it.each<[string, object]>([
    ['name', { name: '' }],
    ['name', { name: 5 }],
    ['concurrency', { concurrency: 0 }],
    ['concurrency', { concurrency: '5' }],
    ['timeout', { timeout: 0 }],
    ['timeout', { timeout: 'long' }],
    ['abortGrace', { abortGrace: -1 }],
    ['maxAttempts', { maxAttempts: 0 }],
    ['backoff', { backoff: 5 }],
    ['backoff.max', { backoff: { max: 'never' } }],
    ['backoff.retries', { backoff: { retries: 5 } }],
    ['schema', { schema: (value: unknown) => value }],
    ['middlewares', { middlewares: [undefined] }],
    ['middlewares', { middlewares: [{ enqueue: () => {} }] }],
    ['maxAge', { maxAge: 0 }],
    ['keepCompleted', { keepCompleted: Infinity }],
    ['keepCancelled', { keepCancelled: 'a while' }],
    ['maxDead', { maxDead: 1.5 }],
    ['restart', { restart: 'always' }],
  ])('refuse %s where it cannot be meant: %j', (option, options) => {
    const error = thrownBy(() => resolve(options)) as Error;
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
    expect(error.message).toContain(`Option "${option}" of ${owner}`);
  });

  it('refuse what is no object', () => {
    expect(thrownBy(() => resolve('welcome' as never))).toMatchObject({
      code: 'INVALID_OPTION',
      option: 'options',
    });
  });
});
