import { type } from 'arktype';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { InvalidPayloadError, JobQueueOptions } from 'nestjs-worker';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { isSchema, validatePayload } from '../../lib/jobs/payload-schema.js';
import { fakeJobQueue, rejectionOf } from '../support/fake-job-queue.js';
import { thrownBy } from '../support/nest.js';

const libraries: [string, StandardSchemaV1][] = [
  ['zod', z.object({ to: z.string(), items: z.array(z.object({ count: z.number() })) })],
  ['valibot', v.object({ to: v.string(), items: v.array(v.object({ count: v.number() })) })],
  ['arktype', type({ to: 'string', items: type({ count: 'number' }).array() })],
];

describe.each(libraries)('a schema of %s', (_name, schema) => {
  const good = { to: 'a@example.com', items: [{ count: 1 }] };
  const bad = { to: 'a@example.com', items: [{ count: 1 }, { count: 'two' }] };

  it('is known as one', () => {
    expect(isSchema(schema)).toBe(true);
  });

  it('lets a payload pass, which is stored as it was given', async () => {
    const { queue } = fakeJobQueue({ schema });
    const { id } = await queue.enqueue(good);
    expect((await queue.get(id))?.payload).toEqual(good);
  });

  it('refuses one with its issues and where they are, and nothing is stored', async () => {
    const { queue, backend } = fakeJobQueue({ schema });
    const error = (await rejectionOf(queue.enqueue(bad, { id: 'a' }))) as InvalidPayloadError;
    expect(error).toMatchObject({ name: 'InvalidPayloadError', code: 'JOB_PAYLOAD_INVALID' });
    expect(error.issues).toEqual([{ path: 'items.1.count', message: expect.any(String) as string }]);
    expect(error.message).toMatch(
      /^Job a of queue "emails" was refused: its payload is not what the schema says \(items\.1\.count: .+\)\./,
    );
    expect(backend.batches).toEqual([]);
  });

  it('refuses a payload that is none', async () => {
    const { queue } = fakeJobQueue({ schema });
    expect(await rejectionOf(queue.enqueue(undefined))).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
  });
});

describe.each<[string, StandardSchemaV1]>([
  ['zod', z.string().refine((text) => Promise.resolve(text.length > 2), 'too short')],
  [
    'valibot',
    v.pipeAsync(
      v.string(),
      v.checkAsync((text) => Promise.resolve(text.length > 2), 'too short'),
    ),
  ],
])('an asynchronous schema of %s', (_name, schema) => {
  it('is waited for', async () => {
    const { queue } = fakeJobQueue({ schema });
    expect(await queue.enqueue('long enough')).toMatchObject({ status: 'enqueued' });
    const error = (await rejectionOf(queue.enqueue('no'))) as InvalidPayloadError;
    expect(error.issues).toEqual([{ path: '', message: 'too short' }]);
  });
});

describe('validatePayload()', () => {
  it.each<[string, StandardSchemaV1]>([
    ['zod', z.string().transform(Number)],
    ['valibot', v.pipe(v.string(), v.transform(Number))],
    ['arktype', type('string').pipe(Number)],
  ])('answers what %s makes of it', (_name, schema) => {
    expect(validatePayload('emails', 'a', schema, '42')).toBe(42);
  });

  it('answers later where the schema does', async () => {
    const schema = z.string().transform((text) => Promise.resolve(Number(text)));
    const checked = validatePayload('emails', 'a', schema, '42');
    expect(checked).toBeInstanceOf(Promise);
    expect(await checked).toBe(42);
  });

  it('makes it once: what is stored is what was given', async () => {
    let made = 0;
    const schema = z.string().transform((text) => {
      made++;
      return Number(text);
    });
    const { queue } = fakeJobQueue({ schema });
    const { id } = await queue.enqueue('42');
    const stored = (await queue.get(id))?.payload;
    expect(stored).toBe('42');
    expect(validatePayload('emails', id, schema, stored)).toBe(42);
    expect(made).toBe(2);
  });

  it('names five issues and counts the rest', () => {
    const schema = z.object(
      Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((key) => [key, z.string()])),
    );
    const error = thrownBy(() => validatePayload('emails', 'j', schema, {})) as InvalidPayloadError;
    expect(error.issues).toHaveLength(7);
    expect(error.message).toMatch(/\(a: .*; e: [^;]*; 2 more\)/);
    expect(error.message).not.toContain('f: ');
  });

  it('reads paths of all forms', () => {
    const path = ['a', 0, { key: 'b' }, Symbol('c')];
    const schema: StandardSchemaV1 = {
      '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no', path }] }) },
    };
    const error = thrownBy(() => validatePayload('emails', 'j', schema, 1)) as InvalidPayloadError;
    expect(error.issues).toEqual([{ message: 'no', path: 'a.0.b.Symbol(c)' }]);
  });

  it.each([
    ['later', () => Promise.reject(new Error('no database'))],
    [
      'at once',
      () => {
        throw new Error('no database');
      },
    ],
  ])(
    'passes on what the schema itself fails with (%s): that says nothing about the payload',
    async (_w, validate) => {
      const schema: StandardSchemaV1 = { '~standard': { version: 1, vendor: 'test', validate } };
      const { queue } = fakeJobQueue({ schema });
      const error = await rejectionOf(queue.enqueue(1));
      expect(error.message).toBe('no database');
      expect(error.code).toBeUndefined();
    },
  );
});

describe('which schema counts', () => {
  it('is that of the handler of that name, then of the one for the rest, then of the queue', async () => {
    const { queue, registry } = fakeJobQueue({ schema: z.literal('queue') });
    const entry = { origin: 'a test', handle: () => {} };
    registry.addHandler(
      'emails',
      { ...entry, name: 'named', schema: z.literal('named') } as never,
      undefined,
    );
    const valid = async (payload: string, name?: string): Promise<boolean> =>
      queue.enqueue(payload, { name }).then(
        () => true,
        () => false,
      );
    expect([await valid('named', 'named'), await valid('queue', 'named')]).toEqual([true, false]);
    expect([await valid('queue', 'other'), await valid('named')]).toEqual([true, false]);
    registry.addHandler('emails', { ...entry, name: '', schema: z.literal('rest') } as never, undefined);
    expect([await valid('rest', 'other'), await valid('queue'), await valid('rest')]).toEqual([
      true,
      false,
      true,
    ]);
  });
});

describe('formats', () => {
  it.each<[string, JobQueueOptions['format'], unknown]>([
    ['msgpack', 'msgpack', { bytes: new Uint8Array([1, 2]), at: new Date(5), deep: [1, 'a', null] }],
    ['no format', undefined, { at: new Date(5) }],
    ['json', 'json', { deep: [1, 'a', null, { b: true }] }],
    ['bytes', 'bytes', new Uint8Array([0, 255])],
    ['no payload', 'json', undefined],
  ])('keep what they can: %s', async (_what, format, payload) => {
    const { queue } = fakeJobQueue({ format });
    const { id } = await queue.enqueue(payload);
    expect((await queue.get(id))?.payload).toEqual(payload);
  });

  const circular: { self?: unknown } = {};
  circular.self = circular;

  it.each<[string, JobQueueOptions['format'], unknown, RegExp]>([
    ['a circle', 'json', circular, /as json \(.*circular/i],
    ['a circle', 'msgpack', circular, /as msgpack/],
    ['a function', 'json', () => {}, /as json \(JSON has no form for a function\)/],
    ['a bigint', 'json', { big: 1n }, /as json/],
    ['a function', 'msgpack', { fn: () => {} }, /as msgpack/],
    ['a text', 'bytes', 'text', /as bytes \(a Uint8Array is wanted, not string\)/],
    [
      'what a codec makes no bytes of',
      { name: 'mine', encode: () => 'text' as never, decode: () => 1 },
      1,
      /as mine \(it gave no Uint8Array\)/,
    ],
  ])('refuse what they cannot write: %s (%j)', async (_what, format, payload, message) => {
    const { queue, backend } = fakeJobQueue({ format });
    const error = await rejectionOf(queue.enqueue(payload));
    expect(error).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
    expect(error.message).toMatch(message);
    expect(backend.batches).toEqual([]);
  });

  it('of your own are a codec', async () => {
    const { queue, backend } = fakeJobQueue({
      format: {
        name: 'flipped',
        encode: (value) => Buffer.from(String(value)).map((byte) => byte ^ 0xff),
        decode: (bytes) => Buffer.from((bytes ?? Buffer.alloc(0)).map((byte) => byte ^ 0xff)).toString(),
      },
    });
    const { id } = await queue.enqueue('abc');
    const [stored] = await backend.get('emails', [id]);
    expect([...stored!.payload!]).toEqual([0x9e, 0x9d, 0x9c]);
    expect((await queue.get(id))?.payload).toBe('abc');
  });
});
