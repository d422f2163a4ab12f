import { Type } from '@sinclair/typebox';
import { describe, expect, it } from 'vitest';
import { operation } from '../../lib/http/operation.js';
import { type RawRequest, readRequest, refuseLongBody } from '../../lib/http/read-request.js';
import { thrownBy } from '../support/nest.js';

const some = operation({
  id: 'some',
  method: 'post',
  path: 'some/{id}',
  access: 'command',
  tag: 'tests',
  summary: 'Some',
  parameters: {
    path: Type.Object({ id: Type.String({ minLength: 2 }) }),
    query: Type.Object({
      limit: Type.Optional(Type.Integer({ minimum: 1 })),
      ratio: Type.Optional(Type.Number()),
      name: Type.Optional(Type.String()),
    }),
  },
  body: Type.Object({ a: Type.Optional(Type.Unknown()) }, { additionalProperties: false }),
  answers: {},
  run: () => ({ body: null }),
});
const optional = { ...some, bodyOptional: true };

const json = { 'content-type': 'application/json', 'content-length': '2' };
const request = (parts: Partial<RawRequest> = {}): RawRequest => ({
  url: '/some/id',
  headers: json,
  params: { id: 'id' },
  query: {},
  body: {},
  ...parts,
});
const read = (parts: Partial<RawRequest>, one = some, limit = 100) => readRequest(one, request(parts), limit);
const refusal = (parts: Partial<RawRequest>, one = some, limit = 100) =>
  thrownBy(() => read(parts, one, limit));

describe('readRequest', () => {
  it('gives what its schemas name, and nothing else', () => {
    const query = { limit: '7', ratio: '-1.5', name: '12', other: 'x', __proto__: { name: 'inherited' } };
    expect(read({ query, params: { id: 'id', more: 1 }, body: { a: 1 } })).toEqual({
      url: '/some/id',
      path: { id: 'id' },
      query: { limit: 7, ratio: -1.5, name: '12' },
      body: { a: 1 },
    });
  });

  it('takes nothing that was inherited', () => {
    const query = Object.create({ limit: '7' }) as object;
    expect(read({ query }).query).toEqual({});
  });

  it.each<[string, Partial<RawRequest>]>([
    ['1.5 for a whole number', { query: { limit: '1.5' } }],
    ['7 and more', { query: { limit: '7x' } }],
    ['an empty text for a number', { query: { limit: '' } }],
    ['an exponent', { query: { limit: '1e3' } }],
    ['a hexadecimal number', { query: { limit: '0x10' } }],
    ['Infinity', { query: { ratio: 'Infinity' } }],
    ['a number past what is exact', { query: { limit: '99999999999999999999' } }],
    ['a parameter twice', { query: { limit: ['1', '2'] } }],
    ['a text twice', { query: { name: ['1', '2'] } }],
    ['an object for a text', { query: { name: { a: 'b' } } }],
    ['a number too small', { query: { limit: '0' } }],
    ['a path parameter too short', { params: { id: 'x' } }],
    ['no path parameter', { params: undefined }],
    ['an unknown field in the body', { body: { b: 1 } }],
    ['a list for a body', { body: [] }],
    ['null for a body', { body: null }],
    ['a text for a body', { body: 'a' }],
  ])('refuses %s, and says where it is', (_what, parts) => {
    const problem = refusal(parts) as { issues: { path: string }[] };
    expect(problem).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
    expect(problem.issues.length).toBeGreaterThan(0);
    const where = Object.keys(parts)[0] === 'params' ? 'path' : Object.keys(parts)[0]!;
    expect(problem.issues.every(({ path }) => path.startsWith(where))).toBe(true);
  });

  it('says no more than ten things, and nothing endless', () => {
    const body = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${n}${'x'.repeat(5_000)}`, 1]));
    const { issues } = refusal({ body }) as { issues: { path: string; message: string }[] };
    expect(issues).toHaveLength(10);
    expect(JSON.stringify(issues).length).toBeLessThan(5_000);
  });

  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON',
    ' application/json ;x=y',
    'application/merge-patch+json',
  ])('takes a body of type %o', (type) => {
    expect(read({ headers: { ...json, 'content-type': type }, body: { a: 1 } }).body).toEqual({ a: 1 });
  });

  it.each([
    undefined,
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'text/json',
  ])('refuses a body of type %o', (type) => {
    expect(refusal({ headers: { ...json, 'content-type': type } })).toMatchObject({
      status: 415,
      code: 'MEDIA_TYPE_UNSUPPORTED',
    });
  });

  it.each<[string, Partial<RawRequest>]>([
    ['no length', { headers: {}, body: undefined }],
    ['no length, and a body made up', { headers: {}, body: {} }],
    ['length 0', { headers: { 'content-length': '0', 'content-type': 'application/json' }, body: undefined }],
    [
      'chunks of nothing',
      {
        headers: { 'transfer-encoding': 'chunked', 'content-type': 'application/json' },
        body: undefined,
      },
    ],
  ])('knows that there is no body by %s', (_what, parts) => {
    expect(refusal(parts)).toMatchObject({ status: 400, code: 'REQUEST_MALFORMED' });
    expect(read(parts, optional).body).toEqual({});
  });

  it('refuses chunks of a type that nobody has read, rather than take them for nothing', () => {
    const parts = { headers: { 'transfer-encoding': 'chunked' }, body: undefined };
    expect(() => read(parts, optional)).toThrow(expect.objectContaining({ status: 415 }));
  });

  it('refuses a body that came in chunks, and is too long or too deep', () => {
    const headers = { 'transfer-encoding': 'chunked', 'content-type': 'application/json' };
    expect(read({ headers, body: { a: 'x'.repeat(50) } }).body).toEqual({ a: 'x'.repeat(50) });
    expect(refusal({ headers, body: { a: 'ä'.repeat(50) } })).toMatchObject({ status: 413 });
    let deep: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) deep = [deep];
    expect(refusal({ headers, body: { a: deep } })).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
  });
});

describe('refuseLongBody', () => {
  it('goes by what the request says of itself', () => {
    expect(() => refuseLongBody({ 'content-length': '100' }, 100)).not.toThrow();
    expect(() => refuseLongBody({}, 100)).not.toThrow();
    expect(thrownBy(() => refuseLongBody({ 'content-length': '101' }, 100))).toMatchObject({
      status: 413,
      code: 'BODY_TOO_LARGE',
    });
  });
});
