// Requests for an HTTP API, made from its OpenAPI document: by the book, nearly so, and not at all so.
import * as fc from 'fast-check';

/** What there is in the app that is asked, so that not all requests are for nothing. */
const known = {
  name: ['steady', 'broken', 'off', 'thumbs', 'a b/c%'],
  queue: ['mails', 'idle', 'idle', 'a b/c%'],
  queue_id: ['mails', 'idle'],
  namespace: ['work', 'work', 'work', 'other'],
  id: Array.from({ length: 30 }, (_, n) => `job-${n}`),
  job_id: Array.from({ length: 30 }, (_, n) => `job-${n}`),
  delay: ['10s', '1h', 5_000, '1m30s', '0s'],
  window: ['1s', '5m', '24h'],
  not_before: ['2040-01-01T00:00:00Z', '1999-12-31T23:59:60+01:00'],
  ttl: ['1h', 60_000],
  payload: ['e30=', 'eyJhIjoxfQ==', 'InRleHQi', null],
};

const hostileTexts = [
  '',
  ' ',
  '\u0000',
  '..',
  '../../etc/passwd',
  '%',
  '%00',
  '%2e%2e%2f',
  '__proto__',
  'constructor',
  'toString',
  '<script>alert(1)</script>',
  '\r\nX-Injected: 1',
  '\uD800',
  '💥',
  "'; drop table jobs; --",
  '{{7*7}}',
  '-1',
  '1e309',
  'NaN',
  'null',
  '[]',
  'x'.repeat(300),
  'x'.repeat(5_000),
];
const hostileValues = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER + 2,
  [],
  {},
  [[[[]]]],
  { __proto__: null, toString: 1 },
  ...hostileTexts,
];
const hostileBodies = [
  '',
  '{',
  '[]',
  'null',
  '"',
  '{"payload":',
  '{"__proto__":{"a":1}}',
  '{"constructor":{"prototype":1}}',
  '{"payload":1,"payload":2}',
  `{"payload":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  `{"payload":"${'x'.repeat(70_000)}"}`,
  '{"delay":1e400}',
  '\uFEFF{}',
  '{"id":"\\ud800"}',
];
const types = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json; charset=utf-16',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'nonsense',
  '',
];
const strangeHeaders = [
  ['sec-fetch-site', 'cross-site'],
  ['origin', 'null'],
  ['origin', 'https://evil.example.com'],
  ['content-encoding', 'gzip'],
  ['content-encoding', 'nonsense'],
  ['expect', 'nonsense'],
  ['if-none-match', '*'],
  ['range', 'bytes=0-1'],
  ['accept', 'text/html;q=2'],
  ['accept-encoding', 'nonsense'],
  ['x-http-method-override', 'DELETE'],
  ['x-forwarded-host', 'evil.example.com'],
  ['transfer-encoding', 'chunked'],
  ['cookie', '=;;='],
];
const methods = ['GET', 'HEAD', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS'];

const either = (...arbitraries) => fc.oneof(...arbitraries);
const from = (values) => fc.constantFrom(...values);

/** Values that a schema of the document lets through. */
function valueOf(schema, document) {
  const { $ref, anyOf, enum: values, type, pattern, properties } = schema;
  if ($ref !== undefined) return valueOf(document.components.schemas[$ref.split('/').at(-1)], document);
  if (anyOf !== undefined) return either(...anyOf.map((one) => valueOf(one, document)));
  if (values !== undefined) return from(values);
  switch (type) {
    case 'string': {
      if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
      const { minLength = 0, maxLength = 30 } = schema;
      return fc.string({ minLength, maxLength: Math.min(maxLength, 30), unit: 'grapheme' });
    }
    case 'integer':
      return fc.integer({
        min: schema.minimum ?? -1_000,
        max: Math.min(schema.maximum ?? 100_000, 2 ** 31 - 1),
      });
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e9, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valueOf(schema.items, document), { maxLength: 3 });
    case 'object':
      return properties === undefined
        ? fc.dictionary(fc.string({ maxLength: 10 }), fc.string({ maxLength: 20 }), { maxKeys: 4 })
        : fieldsOf(schema, document);
    default:
      return fc.jsonValue({ maxDepth: 4 });
  }
}

function fieldsOf({ properties, required = [] }, document) {
  const fields = Object.entries(properties).map(([name, schema]) => {
    const value = valueOf(schema, document);
    return [
      name,
      known[name] === undefined ? value : either({ weight: 6, arbitrary: from(known[name]) }, value),
    ];
  });
  return fc.record(Object.fromEntries(fields), { requiredKeys: required });
}

/** A request by the book. */
function byTheBook(document, path, method, operation) {
  const { parameters = [], requestBody } = operation;
  const values = Object.fromEntries(
    parameters.map(({ name, schema }) => {
      const value = valueOf(schema, document);
      return [
        name,
        known[name] === undefined ? value : either({ weight: 4, arbitrary: from(known[name]) }, value),
      ];
    }),
  );
  const required = parameters.filter((one) => one.required).map(({ name }) => name);
  const schema = requestBody?.content['application/json'].schema;
  return fc
    .tuple(
      fc.record(values, { requiredKeys: required }),
      schema === undefined ? fc.constant(undefined) : valueOf(schema, document),
    )
    .map(([given, body]) => ({
      kind: 'valid',
      id: operation.operationId,
      path,
      method: method.toUpperCase(),
      inPath: Object.fromEntries(
        parameters.flatMap((one) => (one.in === 'path' ? [[one.name, given[one.name]]] : [])),
      ),
      query: parameters.flatMap(({ in: place, name }) =>
        place === 'query' && Object.hasOwn(given, name) ? [[name, given[name]]] : [],
      ),
      body,
      headers: {},
    }));
}

/** One thing in it is not as it should be. */
const nearly = (request) =>
  fc
    .tuple(request, fc.nat(), from(hostileValues), from(hostileTexts), fc.nat(3))
    .map(([good, at, value, text, how]) => {
      const bad = Object.assign({}, good, { kind: 'nearly' });
      const inPath = Object.keys(good.inPath);
      if (how === 0 && inPath.length > 0) bad.inPath = { ...good.inPath, [inPath[at % inPath.length]]: text };
      else if (how === 1 && good.query.length > 0) {
        bad.query = good.query.map((pair, index) =>
          index === at % good.query.length ? [pair[0], text] : pair,
        );
      } else if (how === 2) bad.query = [...good.query, ...good.query, [text, text]];
      else if (good.body !== undefined && good.body !== null) {
        const fields = Object.keys(good.body);
        const field = fields.length === 0 || at % 7 === 0 ? 'nonsense' : fields[at % fields.length];
        bad.body = { ...good.body, [field]: value };
      } else bad.query = [...good.query, ['nonsense', text]];
      return bad;
    });

/** Whatever comes to the mind of somebody who means harm. */
const mutated = (request) =>
  fc
    .tuple(
      request,
      from(methods),
      from(hostileTexts),
      either(from(hostileBodies), fc.string({ maxLength: 200 })),
      fc.option(from(types), { nil: undefined }),
      fc.array(from(strangeHeaders), { maxLength: 2 }),
      fc.nat(5),
      fc.nat(10_000),
    )
    .map(([good, method, text, raw, type, headers, how, at]) => {
      const bad = Object.assign({}, good, { kind: 'mutated', headers: Object.fromEntries(headers) });
      if (how === 0) bad.method = method;
      if (how === 1) bad.suffix = `/${encodeURIComponent(text.toWellFormed())}`;
      if (how === 2) bad.raw = raw;
      if (how === 3 && good.body !== undefined) {
        const json = JSON.stringify(good.body);
        const place = at % (json.length + 1);
        bad.raw = json.slice(0, place) + text.slice(0, 20) + json.slice(place + (at % 3));
      }
      if (how === 4) bad.rawPath = ['%', '%zz', '%E0%A4%A', '//', '/./', ';a=b', '?', '#'][at % 8];
      if (type !== undefined) bad.type = type;
      return bad;
    });

/** Who asks: nearly always somebody who may. */
const callers = fc.oneof(
  { weight: 12, arbitrary: fc.constant({ authorization: 'Bearer operator' }) },
  { weight: 2, arbitrary: fc.constant({ authorization: 'Bearer viewer' }) },
  { weight: 1, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constant({ authorization: 'nonsense' }) },
);

/** All that can be asked, as fast-check makes it. */
export function anyRequest(document) {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => byTheBook(document, path, method, operation)),
  );
  const request = fc.oneof(...operations);
  const asked = fc.oneof(
    { weight: 4, arbitrary: request },
    { weight: 3, arbitrary: nearly(request) },
    { weight: 3, arbitrary: mutated(request) },
  );
  return fc
    .tuple(asked, callers)
    .map(([one, caller]) => Object.assign({}, one, { headers: Object.assign({}, one.headers, caller) }));
}

/** `count` of them: the same ones for the same seed. */
export function* requestsOf(document, count, seed) {
  const arbitrary = anyRequest(document);
  const atOnce = 500;
  for (let done = 0; done < count; done += atOnce) {
    yield* fc.sample(arbitrary, { numRuns: Math.min(atOnce, count - done), seed: seed + done });
  }
}

/** As it is sent: path with query, headers, body. */
export function written({ path, inPath, query, body, raw, type, suffix = '', rawPath = '', headers }) {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name) =>
    encodeURIComponent(String(inPath[name]).toWellFormed()),
  );
  const search = query.map(
    ([name, value]) =>
      `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(String(value).toWellFormed())}`,
  );
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const all = { ...headers };
  if (text !== undefined) {
    all['content-type'] = type ?? 'application/json';
    if (all['transfer-encoding'] === undefined) all['content-length'] = String(Buffer.byteLength(text));
  } else delete all['transfer-encoding'];
  return {
    url: `${filled}${suffix}${rawPath}${search.length > 0 ? `?${search.join('&')}` : ''}`,
    headers: all,
    text,
  };
}
