import { encode } from '@msgpack/msgpack';
import type { EnqueuedJob, JobDraft, JobMiddleware, PayloadCodec } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type FakeJobQueue, fakeJobQueue, never, rejectionOf } from '../support/fake-job-queue.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The bytes that are stored as the payload of a job. */
async function payloadOf({ backend }: FakeJobQueue<unknown>, id: string): Promise<Uint8Array | undefined> {
  return (await backend.get('emails', [id]))[0]?.payload;
}

const around = (
  enqueue: (draft: JobDraft, next: () => Promise<EnqueuedJob>) => Promise<EnqueuedJob>,
): JobMiddleware => ({ enqueue });

/** JSON as nobody but a person writes it. */
const spaced = bytesOf('{ "b": 1,\n  "a": [1.0] }');

describe('enqueueBytes()', () => {
  it('stores these very bytes, with all that is said of the job', async () => {
    const fake = fakeJobQueue({ format: 'json' });
    const { queue, clock } = fake;
    const options = { id: 'one', name: 'welcome', delay: '1m', limitKey: 'k', headers: { a: 'b' } } as const;
    expect(await queue.enqueueBytes(spaced, options)).toEqual({ id: 'one', status: 'enqueued' });
    expect(await payloadOf(fake, 'one')).toEqual(spaced);
    expect(await queue.get('one')).toMatchObject({
      payload: { b: 1, a: [1] },
      name: 'welcome',
      state: 'scheduled',
      dueAt: clock.now() + 60_000,
      limitKey: 'k',
      headers: { a: 'b' },
    });
  });

  it('takes the format that the backend says is its own where the queue names none', async () => {
    const fake = fakeJobQueue({}, {}, undefined, { format: 'json' });
    const { queue } = fake;
    await queue.enqueueBytes(spaced, { id: 'one' });
    await queue.enqueue({ b: 2 }, { id: 'two' });
    expect(await payloadOf(fake, 'one')).toEqual(spaced);
    expect(await payloadOf(fake, 'two')).toEqual(bytesOf('{"b":2}'));
    expect(await queue.get('two')).toMatchObject({ payload: { b: 2 } });
    expect((await rejectionOf(queue.enqueueBytes(encode({ b: 1 })))).message).toMatch(/is no json/);
  });

  it('stores no payload where there is none', async () => {
    const fake = fakeJobQueue();
    const { id } = await fake.queue.enqueueBytes(undefined);
    expect(await payloadOf(fake, id)).toBeUndefined();
    expect(await fake.queue.get(id)).toMatchObject({ state: 'ready', payload: undefined });
  });

  it('takes a part of a Buffer for what it is', async () => {
    const fake = fakeJobQueue();
    const large = Buffer.concat([Buffer.alloc(8, 1), encode({ to: 'a' }), Buffer.alloc(8, 1)]);
    const { id } = await fake.queue.enqueueBytes(large.subarray(8, -8));
    expect(await payloadOf(fake, id)).toEqual(encode({ to: 'a' }));
  });

  it.each<[string, 'json' | 'msgpack', Uint8Array, RegExp]>([
    ['are no JSON', 'json', bytesOf('{ no'), /its payload is no json \(/],
    ['are no UTF-8', 'json', Uint8Array.of(0x22, 0xff, 0x22), /is no json/],
    ['are none at all', 'json', new Uint8Array(), /is no json/],
    ['are no MessagePack', 'msgpack', Uint8Array.of(0xc1), /is no msgpack/],
    ['go on after the payload', 'msgpack', Uint8Array.of(1, 2), /is no msgpack/],
  ])('refuses bytes that %s, and stores nothing', async (_, format, bytes, message) => {
    const { queue, backend } = fakeJobQueue({ format });
    const error = await rejectionOf(queue.enqueueBytes(bytes, { id: 'one' }));
    expect(error).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
    expect(error.message).toMatch(message);
    expect(error.message).toContain('Job one of queue "emails"');
    expect(backend.batches).toEqual([]);
    expect(queue.tally).toEqual({ enqueued: 0, duplicates: 0, failed: 0 });
  });

  it.each([
    ['at once', z.object({ to: z.string().trim() })],
    [
      'later',
      z.object({
        to: z
          .string()
          .trim()
          .refine(async (to) => to !== ''),
      }),
    ],
  ])('holds them to a schema that answers %s, and stores what was given', async (_, schema) => {
    const fake = fakeJobQueue({ format: 'json', schema });
    const given = bytesOf('{"to":" a "}');
    const { id } = await fake.queue.enqueueBytes(given);
    expect(await payloadOf(fake, id)).toEqual(given);
    const error = await rejectionOf(fake.queue.enqueueBytes(bytesOf('{"to":5}')));
    expect(error).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
    expect(error).toHaveProperty('issues.0.path', 'to');
    expect(await rejectionOf(fake.queue.enqueueBytes(undefined))).toMatchObject({
      code: 'JOB_PAYLOAD_INVALID',
    });
    expect(fake.backend.batches).toEqual([[id]]);
  });

  it.each(['AQI=', [1, 2], null, 5])('refuses %j for bytes', async (bytes) => {
    const { queue, backend } = fakeJobQueue({ format: 'bytes' });
    expect(await rejectionOf(queue.enqueueBytes(bytes as never))).toMatchObject({
      code: 'INVALID_OPTION',
      option: 'bytes',
    });
    expect(backend.batches).toEqual([]);
  });

  it('refuses options as enqueue() does', async () => {
    const { queue } = fakeJobQueue({ format: 'bytes' });
    const error = await rejectionOf(queue.enqueueBytes(spaced, { id: 'a/b' }));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'id' });
  });

  it('goes to the backend with the others of its moment, is counted, and may time out', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    await Promise.all([
      queue.enqueue(1, { id: 'a' }),
      queue.enqueueBytes(encode(2), { id: 'b' }),
      queue.enqueueBytes(encode(2), { id: 'a' }),
    ]);
    expect(backend.batches).toEqual([['a', 'b', 'a']]);
    expect(queue.tally).toEqual({ enqueued: 2, duplicates: 1, failed: 0 });
    backend.hold = never;
    const late = rejectionOf(queue.enqueueBytes(encode(3), { id: 'c', timeout: '2s' }));
    await clock.advance('2s');
    expect(await late).toMatchObject({ code: 'JOB_ENQUEUE_FAILED', ids: ['c'] });
    expect(queue.tally).toMatchObject({ failed: 1 });
  });

  it('is within what is around enqueueing, with its headers', async () => {
    const { queue, registry } = fakeJobQueue({ format: 'json' });
    const seen: unknown[] = [];
    registry.aroundEnqueueing.push(async (call, run) => {
      seen.push(call);
      try {
        return await run();
      } catch (error) {
        seen.push((error as { code?: string }).code);
        throw error;
      }
    });
    registry.headerProviders.push(() => ({ traceparent: '00-1' }));
    const { id } = await queue.enqueueBytes(spaced, { name: 'welcome' });
    expect((await queue.get(id))?.headers).toEqual({ traceparent: '00-1' });
    await rejectionOf(queue.enqueueBytes(bytesOf('{'), { name: 'welcome' }));
    const call = { queue: 'emails', name: 'welcome', many: false };
    expect(seen).toEqual([call, call, 'JOB_PAYLOAD_INVALID']);
  });
});

describe('enqueueBytes() through middlewares', () => {
  it('shows them the payload, and stores the bytes where they leave it', async () => {
    const seen: unknown[] = [];
    const look = around((draft, next) => {
      seen.push(draft.payload, draft.id);
      draft.headers.tenant = 'acme';
      // The same again is no change.
      draft.payload = { ...(draft.payload as object) };
      return next();
    });
    const fake = fakeJobQueue({ format: 'json', middlewares: [look] });
    await fake.queue.enqueueBytes(spaced, { id: 'one' });
    expect(seen).toEqual([{ b: 1, a: [1] }, 'one']);
    expect(await payloadOf(fake, 'one')).toEqual(spaced);
    expect((await fake.queue.get('one'))?.headers).toEqual({ tenant: 'acme' });
  });

  it.each<[string, (draft: JobDraft) => void]>([
    ['replace it', (draft) => void (draft.payload = { b: 2 })],
    [
      'change what is in it',
      (draft) => {
        const payload = draft.payload as { a?: unknown; b: number };
        delete payload.a;
        payload.b = 2;
      },
    ],
  ])('stores what they leave where they %s, if it fits the schema', async (_, change) => {
    const middlewares = [
      around((draft, next) => {
        change(draft);
        return next();
      }),
    ];
    const fake = fakeJobQueue({ format: 'json', middlewares, schema: z.object({ b: z.number() }) });
    const { id } = await fake.queue.enqueueBytes(spaced);
    expect(await payloadOf(fake, id)).toEqual(bytesOf('{"b":2}'));
    const strict = fakeJobQueue({ format: 'json', middlewares, schema: z.object({ b: z.literal(1) }) });
    expect(await rejectionOf(strict.queue.enqueueBytes(spaced))).toMatchObject({
      code: 'JOB_PAYLOAD_INVALID',
    });
    expect(strict.backend.batches).toEqual([]);
  });

  it('refuses what cannot be read before they see it', async () => {
    let calls = 0;
    const count = around((_draft, next) => {
      calls++;
      return next();
    });
    const { queue } = fakeJobQueue({ format: 'json', middlewares: [count] });
    expect(await rejectionOf(queue.enqueueBytes(bytesOf('{')))).toMatchObject({
      code: 'JOB_PAYLOAD_INVALID',
    });
    expect(calls).toBe(0);
  });

  it('lets them answer instead', async () => {
    const instead = around(() => Promise.resolve({ id: 'elsewhere', status: 'duplicate' }));
    const { queue, backend } = fakeJobQueue({ format: 'json', middlewares: [instead] });
    expect(await queue.enqueueBytes(spaced)).toEqual({ id: 'elsewhere', status: 'duplicate' });
    expect(backend.batches).toEqual([]);
  });

  it('encodes nothing that they leave alone', async () => {
    const codec: PayloadCodec = {
      name: 'read-only',
      encode: () => {
        throw new Error('nobody asked');
      },
      decode: (bytes) => bytes?.length,
    };
    const fake = fakeJobQueue({ format: codec, middlewares: [around((_draft, next) => next())] });
    const { id } = await fake.queue.enqueueBytes(Uint8Array.of(1, 2, 3));
    expect(await payloadOf(fake, id)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await fake.queue.get(id)).toMatchObject({ payload: 3 });
  });
});
