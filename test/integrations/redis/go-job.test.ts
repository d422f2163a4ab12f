import { readFileSync } from 'node:fs';
import { encode } from '@msgpack/msgpack';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readUsualGoJob } from '../../../lib/integrations/redis/go-job-reader.js';
import { decodeGoJob, encodeGoJob, type GoJob } from '../../../lib/integrations/redis/go-job.js';

// Written by a program of gocraft/work v2: a copy of what its authors' library puts into Redis.
const fixture = new URL('./fixtures/gocraft-work-v2-jobs.json', import.meta.url);
interface Written {
  readonly jobKey: string;
  readonly score: string;
  readonly hex: string;
}
const { jobs } = JSON.parse(readFileSync(fixture, 'utf8')) as { readonly jobs: readonly Written[] };
const byId = new Map(jobs.map((job) => [job.jobKey.split(':').at(-1)!, job]));
const bytesOf = (id: string): Buffer => Buffer.from(byId.get(id)!.hex, 'hex');

const at = Date.UTC(2026, 10, 20, 12, 34, 56);
const plain: GoJob = {
  id: '',
  createdAt: at,
  updatedAt: at,
  enqueuedAt: at,
  payload: undefined,
  retries: 0,
  lastError: '',
};

describe('the bytes that Go has written', () => {
  it.each(jobs)('$jobKey says when it is due as its score does', ({ jobKey, score, hex }) => {
    const job = decodeGoJob(Buffer.from(hex, 'hex'));
    expect(job?.id).toBe(jobKey.split(':').at(-1));
    expect(Math.floor(job!.enqueuedAt / 1_000)).toBe(Number(score));
  });

  it.each([
    ['binary-payload', { payload: Uint8Array.of(0, 1, 2, 255, 254, 128) }],
    ['empty-payload', {}],
    ['json-payload', { payload: new Uint8Array(Buffer.from('{"to":"b@example.com"}')) }],
    ['msgpack-strings', { payload: encode(['echo', 'hi']) }],
    [
      'msgpack-map',
      { payload: encode({ f: 1.5, list: ['x', 'y', 7], nil: null, ok: true, to: 'a@example.com' }) },
    ],
    ['far-future', { enqueuedAt: Date.UTC(2110, 0, 1) }],
    ['retried', { retries: 3, lastError: 'boom: é', updatedAt: at + 1_123, enqueuedAt: at + 90_000 }],
  ])('%s is read as what it is', (id, fields) => {
    const job = decodeGoJob(bytesOf(id));
    if (id === 'msgpack-map') {
      // Go keeps 1.5 as a float of 32 bits; that is the payload's business.
      expect(job?.payload?.length).toBeGreaterThan(40);
      return;
    }
    expect(job).toEqual({ ...plain, id, createdAt: job!.createdAt, ...shifted(job!, fields) });
  });

  const exact = [...byId.keys()].filter((id) => id !== 'retried' && id !== 'far-future');
  it.each(exact)('%s is written as the same bytes', (id) => {
    const bytes = bytesOf(id);
    expect(encodeGoJob(decodeGoJob(bytes)!).toString('hex')).toBe(bytes.toString('hex'));
  });

  it.each([
    ['retried', 'updated_at', 123_456_789],
    ['far-future', 'enqueued_at', 5],
  ] as const)('%s is, but for what is finer than a millisecond', (id, field, nanoseconds) => {
    const bytes = bytesOf(id);
    const written = encodeGoJob(decodeGoJob(bytes)!);
    // Extension -1 of 8 bytes: 30 bits of nanoseconds, 34 of seconds.
    const from = bytes.indexOf(field) + field.length;
    expect(written.subarray(from, from + 2)).toEqual(Buffer.of(0xd7, 0xff));
    expect(bytes.readUInt32BE(from + 2) >>> 2).toBe(nanoseconds);
    expect(written.readUInt32BE(from + 2) >>> 2).toBe(Math.floor(nanoseconds / 1e6) * 1e6);
    written.writeUInt32BE(bytes.readUInt32BE(from + 2), from + 2);
    expect(written.toString('hex')).toBe(bytes.toString('hex'));
  });
});

/** The fixture's own time, which all its times count from. */
function shifted(job: GoJob, fields: Partial<GoJob>): Partial<GoJob> {
  const by = job.createdAt - at;
  const times = { updatedAt: fields.updatedAt ?? at, enqueuedAt: fields.enqueuedAt ?? at };
  const isFixed = fields.enqueuedAt !== undefined && fields.updatedAt === undefined;
  return {
    ...fields,
    updatedAt: times.updatedAt + by,
    enqueuedAt: isFixed ? times.enqueuedAt : times.enqueuedAt + by,
  };
}

/** What the library makes of the whole. */
const encoded = (job: GoJob): Uint8Array =>
  encode({
    id: job.id,
    created_at: new Date(job.createdAt),
    updated_at: new Date(job.updatedAt),
    enqueued_at: new Date(job.enqueuedAt),
    payload: job.payload ?? null,
    retries: job.retries,
    last_error: job.lastError,
  });

describe('encodeGoJob', () => {
  // Years that Go may write, the second of time 0 included.
  const time = fc.oneof(
    fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_000 }),
    fc.constantFrom(0, 2 ** 32 * 1_000, 2 ** 34 * 1_000, 999, 1_000),
  );
  const length = fc.constantFrom(0, 1, 31, 32, 255, 256, 65_535, 65_536);
  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    length.map((size) => 'x'.repeat(size)),
  );
  const now = fc.integer({ min: 0, max: 16_000_000_000_000 });
  const shapes = {
    id: text,
    lastError: text,
    payload: fc.option(
      fc.oneof(
        fc.uint8Array(),
        length.map((size) => new Uint8Array(size).fill(7)),
      ),
      {
        nil: undefined,
      },
    ),
  };
  const job: fc.Arbitrary<GoJob> = fc.record({
    ...shapes,
    createdAt: time,
    updatedAt: time,
    enqueuedAt: time,
    retries: fc.oneof(fc.nat(), fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32)),
  });

  it('writes what the library writes, byte for byte', () => {
    fc.assert(
      fc.property(job, (one) => Buffer.compare(encodeGoJob(one), Buffer.from(encoded(one))) === 0),
      { numRuns: 500 },
    );
  });

  it('can be read again', () => {
    fc.assert(
      fc.property(job, (one) => {
        expect(decodeGoJob(encodeGoJob(one))).toEqual(one);
      }),
    );
  });

  it('is read the quick way, unless a time or a number is beyond measure', () => {
    const usual = fc.record({
      ...shapes,
      createdAt: now,
      updatedAt: now,
      enqueuedAt: now,
      retries: fc.nat(),
    });
    fc.assert(
      fc.property(usual, (one) => {
        expect(readUsualGoJob(new Uint8Array(encodeGoJob(one)))).toEqual(one);
      }),
    );
  });

  it('takes bytes of any kind, and a part of a larger memory', () => {
    const large = Buffer.from('before-payload-after');
    const payload = large.subarray(7, 14);
    const read = decodeGoJob(encodeGoJob({ ...plain, id: 'x', payload }));
    expect(Buffer.from(read!.payload!).toString()).toBe('payload');
    expect(read!.payload).toBeInstanceOf(Uint8Array);
    expect(Buffer.isBuffer(read!.payload)).toBe(false);
  });
});

describe('decodeGoJob', () => {
  it('says of what is none that it cannot be read', () => {
    const whole = encodeGoJob({ ...plain, id: 'x', payload: Uint8Array.of(1) });
    for (let end = 0; end < whole.length; end++) expect(decodeGoJob(whole.subarray(0, end))).toBeUndefined();
    for (const other of [null, 1, 'text', [], { id: 1 }, { id: 'x', payload: 5 }]) {
      expect(decodeGoJob(encode(other))).toBeUndefined();
    }
  });

  it('reads a job with fields that are not known, or missing', () => {
    expect(decodeGoJob(encode({ later: true, id: 'x', payload: 'text' }))).toEqual({
      ...plain,
      id: 'x',
      createdAt: 0,
      updatedAt: 0,
      enqueuedAt: 0,
      payload: Buffer.from('text'),
    });
  });
});
