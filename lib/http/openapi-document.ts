import type { TSchema } from '@sinclair/typebox';
import { CommandDocument } from './documents/command.js';
import { ChangeDocument } from './documents/overview.js';
import { ProblemDocument } from './documents/problem.js';
import type { Operation } from './operation.js';
import { httpErrorCodes } from './problem.js';

type Json = Readonly<Record<string, unknown>>;

const problem = (description: string): Json => ({
  description,
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Problem' } } },
});

/** The OpenAPI 3.1 document of the operations. Its server is the folder that it lies in, whatever that is called outside. */
export function openApiDocument(operations: readonly Operation[], title: string, version: string): Json {
  const schemas: Record<string, unknown> = {};
  const write = (schema: TSchema): unknown => written(schema, schemas);
  // What the stream tells is JSON inside of text, which no answer can refer to.
  for (const schema of [ProblemDocument, ChangeDocument, CommandDocument]) write(schema);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const one of operations) {
    paths[`/${one.path}`] = { ...paths[`/${one.path}`], [one.method]: operationObject(one, write) };
  }
  const codes = Object.entries(httpErrorCodes).map(([code, meaning]) => `- \`${code}\`: ${meaning}`);
  return {
    openapi: '3.1.0',
    info: {
      title,
      version,
      description: `Errors are answered as { error, code, issues? }. Codes, beside those of nestjs-worker's own errors:\n\n${codes.join('\n')}`,
    },
    servers: [{ url: '.' }],
    tags: [...new Set(operations.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    },
  };
}

function operationObject(one: Operation, write: (schema: TSchema) => unknown): Json {
  const { id, tag, summary, description, body, bodyOptional = false, access } = one;
  const parameters = (['path', 'query'] as const).flatMap((place) => parametersOf(one, place, write));
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description !== undefined && description !== '' && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: { required: !bodyOptional, content: { 'application/json': { schema: write(body) } } },
    }),
    responses: responsesOf(one, access, write),
  };
}

function parametersOf(one: Operation, place: 'path' | 'query', write: (schema: TSchema) => unknown): Json[] {
  const schema = one.parameters?.[place];
  return Object.entries(schema?.properties ?? {}).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || (schema?.required ?? []).includes(name),
    description,
    schema: write(rest),
  }));
}

function responsesOf(
  { answers, body, parameters }: Operation,
  access: Operation['access'],
  write: (schema: TSchema) => unknown,
): Json {
  const own = Object.entries(answers).map(([status, { description, schema, type = 'application/json' }]) => {
    if (Number(status) >= 400) return [status, problem(description)];
    const content = schema === undefined ? {} : { schema: write(schema) };
    return [status, { description, content: { [type]: content } }];
  });
  return {
    ...Object.fromEntries(own),
    ...((parameters ?? body) !== undefined &&
      !(400 in answers) && { 400: problem('Something in the request is wrong') }),
    401: problem('The guards want to know who the caller is'),
    403: problem(
      access === 'command'
        ? 'The caller may not do this, or a page of another site sent it'
        : 'The caller may not do this',
    ),
    ...(body !== undefined && { 413: problem('The body is too long'), 415: problem('The body is not JSON') }),
    503: problem('The app shuts down, or the job backend does not answer'),
  };
}

/** A schema without what is TypeBox's own; named ones go to `schemas` and are referred to. */
function written(schema: TSchema, schemas: Record<string, unknown>): unknown {
  const { $id, ...rest } = schema;
  if ($id === undefined) return plain(rest, schemas);
  if (!Object.hasOwn(schemas, $id)) {
    schemas[$id] = undefined;
    schemas[$id] = plain(rest, schemas);
  }
  return { $ref: `#/components/schemas/${$id}` };
}

function plain(schema: Json, schemas: Record<string, unknown>): Json {
  const { anyOf, description, ...rest } = schema as { anyOf?: readonly Json[]; description?: string };
  const about = description === undefined ? {} : { description };
  const texts = anyOf?.map((one) => one['const']);
  if (texts?.every((one) => typeof one === 'string') === true)
    return { ...about, type: 'string', enum: texts };
  return Object.fromEntries(
    Object.entries({ ...about, ...(anyOf !== undefined && { anyOf }), ...rest }).map(([key, value]) => [
      key,
      deep(value, schemas, key === 'properties' || key === 'patternProperties'),
    ]),
  );
}

function deep(value: unknown, schemas: Record<string, unknown>, isMap: boolean): unknown {
  if (Array.isArray(value)) return value.map((one) => deep(one, schemas, false));
  if (typeof value !== 'object' || value === null) return value;
  if (!isMap) return written(value as TSchema, schemas);
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, written(one as TSchema, schemas)]),
  );
}
