import type { IncomingMessage } from 'node:http';
import { type TSchema, Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type { Headers } from './cross-origin.js';
import type { Input, Operation } from './operation.js';
import { type Issue, Problem, toldIssues } from './problem.js';

const nothing = Type.Object({});

/** What a request brings, whatever the platform. */
export interface RawRequest {
  /** With the query. */
  readonly url: string;
  readonly headers: Headers;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  /** Where no parser of the app has read the body. */
  readonly unparsed?: IncomingMessage;
}

/** What of a request an operation wants, checked. Throws `Problem`. */
export function readRequest(
  { parameters, body: schema, bodyOptional = false }: Operation,
  { params, query, headers, body, url }: RawRequest,
  bodyLimit: number,
): Input<TSchema, TSchema, TSchema> {
  return {
    url,
    path: checked('path', parameters?.path ?? nothing, params),
    query: checked('query', parameters?.query ?? nothing, query),
    body: schema === undefined ? {} : readBody(schema, bodyOptional, headers, body, bodyLimit),
  };
}

/** Throws `Problem` for a body that is longer than the limit by its own account. */
export function refuseLongBody(headers: Headers, bodyLimit: number): void {
  if (Number(headers['content-length'] ?? 0) > bodyLimit) throw tooLong(bodyLimit);
}

function readBody(
  schema: TSchema,
  isOptional: boolean,
  headers: Headers,
  body: unknown,
  bodyLimit: number,
): unknown {
  if (isEmpty(headers, body)) {
    if (isOptional) return {};
    throw missing();
  }
  const type = String(headers['content-type'] ?? '')
    .split(';', 1)[0]!
    .trim()
    .toLowerCase();
  if (type !== 'application/json' && !/^application\/[\w.-]+\+json$/.test(type))
    throw new Problem(415, 'MEDIA_TYPE_UNSUPPORTED', 'Send the body as application/json.');
  if (body === undefined) {
    if (isOptional) return {};
    throw missing();
  }
  // Of a body that comes in chunks nobody has said how long it is.
  if (headers['content-length'] === undefined && lengthOf(body) > bodyLimit) throw tooLong(bodyLimit);
  if (Value.Check(schema, body)) return body;
  throw invalid('body', schema, body);
}

/** Express 4 makes up `{}` where nothing was sent. */
function isEmpty(headers: Headers, body: unknown): boolean {
  if (headers['content-length'] !== undefined) return headers['content-length'] === '0';
  // Of whatever type it is: what is not JSON is refused.
  if ('transfer-encoding' in headers) return false;
  return body === undefined || Object.keys(Object(body) as object).length === 0;
}

function missing(): Problem {
  return new Problem(400, 'REQUEST_MALFORMED', 'A body is missing: send a JSON object.');
}

function lengthOf(body: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(body));
  } catch {
    throw new Problem(400, 'REQUEST_INVALID', 'The body is nested too deeply.');
  }
}

function tooLong(bodyLimit: number): Problem {
  return new Problem(413, 'BODY_TOO_LARGE', `The body is longer than ${bodyLimit} bytes.`);
}

/** What its schema names of `given`; texts become numbers where these are wanted. */
function checked(where: 'path' | 'query', schema: TSchema, given: unknown): unknown {
  const source = (given ?? {}) as Readonly<Record<string, unknown>>;
  const properties = (schema as { properties?: Readonly<Record<string, TSchema>> }).properties ?? {};
  const converted = Object.fromEntries(
    Object.entries(properties).flatMap(([name, property]) =>
      Object.hasOwn(source, name) ? [[name, convertedTo(property, source[name])]] : [],
    ),
  );
  if (Value.Check(schema, converted)) return converted;
  throw invalid(where, schema, converted);
}

/** A text that is a number, where one is wanted. No part of it, as `Value.Convert()` takes. */
function convertedTo({ type }: TSchema, given: unknown): unknown {
  const isWanted = type === 'integer' || type === 'number';
  return isWanted && typeof given === 'string' && /^-?\d{1,15}(?:\.\d+)?$/.test(given)
    ? Number(given)
    : given;
}

function invalid(where: 'path' | 'query' | 'body', schema: TSchema, value: unknown): Problem {
  const issues: Issue[] = [];
  for (const { path, message, schema: wanted } of Value.Errors(schema, value)) {
    if (issues.length === toldIssues) break;
    const at = where + path.replaceAll('/', '.').slice(0, 200);
    // Of one that is missing it is also said that it is not what it should be.
    if (issues.some((issue) => issue.path === at)) continue;
    issues.push({ path: at, message: choicesOf(wanted) ?? `${message}.` });
  }
  return new Problem(400, 'REQUEST_INVALID', `The ${where} is not what it should be.`, issues);
}

/** Where one of some texts is wanted: these. */
function choicesOf({ anyOf }: TSchema): string | undefined {
  const choices = (anyOf as readonly TSchema[] | undefined)?.map((one) => one['const'] as unknown);
  if (choices?.every((one) => typeof one === 'string') !== true) return undefined;
  return `One of ${choices.map((one) => `'${one}'`).join(', ')} is wanted.`;
}
