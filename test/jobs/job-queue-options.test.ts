import type { JobBackendCapabilities } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { resolveJobQueueOptions } from '../../lib/jobs/job-queue-options.js';
import { MemoryJobBackend } from '../../lib/jobs/memory-job-backend.js';
import { bytesCodec, jsonCodec, msgpackCodec } from '../../lib/jobs/payload-codec.js';
import { thrownBy } from '../support/nest.js';

const { capabilities } = new MemoryJobBackend();
const resolve = (options: object, can: JobBackendCapabilities = capabilities) =>
  resolveJobQueueOptions({ name: 'emails', ...options }, can);

describe('options of a job queue', () => {
  it('have defaults', () => {
    expect(resolve({})).toEqual({
      name: 'emails',
      consumer: {
        queue: 'emails',
        codec: msgpackCodec,
        limits: {},
        leaseMs: 30_000,
        blockedLimitMs: 120_000,
        quarantineAfter: 3,
        callTimeoutMs: 10_000,
        notConsumingAfterMs: 60_000,
        autoStart: true,
      },
      concurrency: undefined,
      enqueueTimeoutMs: 5_000,
      middlewares: [],
      schema: undefined,
    });
  });

  it('are read', () => {
    const schema = z.string();
    const middleware = { use: () => Promise.resolve() };
    expect(
      resolve({
        format: 'json',
        concurrency: 50,
        limits: { concurrency: 5, perKey: 1, rate: { limit: 100, period: '1m' } },
        lease: '1s',
        blockedLimit: '1s',
        quarantineAfter: Infinity,
        enqueueTimeout: '1s',
        callTimeout: '2s',
        notConsumingAfter: Infinity,
        autoStart: false,
        middlewares: [middleware],
        schema,
      }),
    ).toEqual({
      name: 'emails',
      consumer: {
        queue: 'emails',
        codec: jsonCodec,
        limits: { concurrency: 5, perKey: 1, rate: { limit: 100, periodMs: 60_000 } },
        leaseMs: 1_000,
        blockedLimitMs: 1_000,
        quarantineAfter: Infinity,
        callTimeoutMs: 2_000,
        notConsumingAfterMs: Infinity,
        autoStart: false,
      },
      concurrency: 50,
      enqueueTimeoutMs: 1_000,
      middlewares: [middleware],
      schema,
    });
  });

  it('take the format that the backend says is its own, unless they name one', () => {
    const can = { ...capabilities, format: 'json' as const };
    const codecOf = (options: object, of: JobBackendCapabilities = can) =>
      resolve(options, of).consumer.codec;
    expect(codecOf({})).toBe(jsonCodec);
    expect(codecOf({ format: undefined })).toBe(jsonCodec);
    expect(codecOf({ format: 'msgpack' })).toBe(msgpackCodec);
    expect(codecOf({ format: 'bytes' })).toBe(bytesCodec);
    expect(codecOf({}, { ...capabilities, format: 'bytes' })).toBe(bytesCodec);
    expect(codecOf({}, capabilities)).toBe(msgpackCodec);
    expect(thrownBy(() => codecOf({ format: null }))).toMatchObject({ code: 'INVALID_OPTION' });
  });

  it('take the lease for blockedLimit where that is longer than two minutes', () => {
    expect(resolve({ lease: '1h' }).consumer.blockedLimitMs).toBe(3_600_000);
  });

  it.each<[string, object]>([
    ['name', { name: '' }],
    ['name', { name: ' ' }],
    ['name', { name: undefined }],
    ['name', { name: 5 }],
    ['format', { format: 'xml' }],
    ['format', { format: { encode: () => new Uint8Array() } }],
    ['format', { format: null }],
    ['concurrency', { concurrency: 0 }],
    ['concurrency', { concurrency: Infinity }],
    ['concurrency', { concurrency: 1.5 }],
    ['limits', { limits: 5 }],
    ['limits', { limits: null }],
    ['limits.concurrency', { limits: { concurrency: 0 } }],
    ['limits.perKey', { limits: { perKey: 'one' } }],
    ['limits.perKey', { limits: { perKey: 6, concurrency: 5 } }],
    ['limits.rate', { limits: { rate: 100 } }],
    ['limits.rate', { limits: { rate: { limit: 5 } } }],
    ['limits.rate', { limits: { rate: { period: '1s' } } }],
    ['limits.rate.limit', { limits: { rate: { limit: 0, period: '1s' } } }],
    ['limits.rate.period', { limits: { rate: { limit: 1, period: 0 } } }],
    ['limits.rate.per', { limits: { rate: { limit: 1, period: '1s', per: 'key' } } }],
    ['limits.global', { limits: { global: 5 } }],
    ['lease', { lease: '999ms' }],
    ['lease', { lease: Infinity }],
    ['blockedLimit', { blockedLimit: '29s' }],
    ['quarantineAfter', { quarantineAfter: 0 }],
    ['enqueueTimeout', { enqueueTimeout: 0 }],
    ['enqueueTimeout', { enqueueTimeout: Infinity }],
    ['callTimeout', { callTimeout: 0 }],
    ['notConsumingAfter', { notConsumingAfter: 0 }],
    ['autoStart', { autoStart: 'false' }],
    ['middlewares', { middlewares: [undefined] }],
    ['middlewares', { middlewares: [{}] }],
    ['middlewares', { middlewares: () => {} }],
    ['schema', { schema: {} }],
    ['schema', { schema: 'string' }],
    ['schema', { schema: null }],
    ['retries', { retries: 3 }],
  ])('refuse %s where it cannot be meant: %j', (option, options) => {
    const error = thrownBy(() => resolve(options)) as Error;
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
    expect(error.message).toContain(`Option "${option}" of job queue "`);
  });

  it.each([null, undefined, 5, 'emails'])('refuse %j instead of options', (options) => {
    const act = () => resolveJobQueueOptions(options as never, capabilities);
    expect(thrownBy(act)).toMatchObject({ code: 'INVALID_OPTION' });
  });

  it.each([
    ['concurrency', { concurrency: 5 }],
    ['perKey', { perKey: 5 }],
    ['rate', { rate: { limit: 5, period: '1s' } }],
  ])('refuse the limit %s where the backend cannot enforce it', (limit, limits) => {
    const can = { ...capabilities, name: 'sql', limits: { ...capabilities.limits, [limit]: false } };
    const error = thrownBy(() => resolve({ limits }, can)) as Error;
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: `limits.${limit}` });
    expect(error.message).toContain('the backend "sql" cannot enforce it');
    expect(resolve({ limits: {} }, can).consumer.limits).toEqual({});
  });
});
