import type { StandardSchemaV1 } from '@standard-schema/spec';
import { InvalidPayloadError } from '../errors/index.js';
import type { OptionReader } from '../execution/index.js';

const namedIssues = 5;

/**
 * What `schema` makes of a payload, at once where the schema can. Throws, or rejects with, `InvalidPayloadError` where
 * the schema refuses it. What the schema itself fails with is passed on as it is: it says nothing about the payload.
 */
export function validatePayload(
  queue: string,
  job: string,
  schema: StandardSchemaV1,
  payload: unknown,
): unknown {
  const result = schema['~standard'].validate(payload);
  if (typeof (result as Partial<PromiseLike<unknown>>).then !== 'function') {
    return accepted(queue, job, result as StandardSchemaV1.Result<unknown>);
  }
  return Promise.resolve(result).then((later) => accepted(queue, job, later));
}

/** Whether `value` is a schema of a library that speaks Standard Schema. */
export function isSchema(value: unknown): value is StandardSchemaV1 {
  // Those of arktype are functions.
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return typeof (value as Partial<StandardSchemaV1>)['~standard']?.validate === 'function';
}

/** Reads the option `schema` of whoever has one. Throws `InvalidOptionError`. */
export function readSchema(reader: OptionReader): StandardSchemaV1 | undefined {
  const given = reader.get('schema');
  if (given === undefined || isSchema(given)) return given;
  return reader.refuse(
    'schema',
    'a schema of a library that speaks Standard Schema (zod 4, valibot, arktype, …)',
    'Pass the schema itself, not a type and not its parse function.',
  );
}

function accepted(queue: string, job: string, result: StandardSchemaV1.Result<unknown>): unknown {
  if (!result.issues) return result.value;
  const issues = result.issues.map(({ message, path }) => ({ message, path: pathText(path) }));
  const named = issues
    .slice(0, namedIssues)
    .map(({ message, path }) => (path === '' ? message : `${path}: ${message}`));
  if (issues.length > namedIssues) named.push(`${issues.length - namedIssues} more`);
  // The messages of most libraries are sentences of their own.
  const what = named.join('; ').replace(/\.$/, '');
  throw new InvalidPayloadError(queue, job, `is not what the schema says (${what})`, issues);
}

function pathText(path: StandardSchemaV1.Issue['path']): string {
  const keys = path?.map((segment) => (typeof segment === 'object' ? segment.key : segment)) ?? [];
  return keys.map(String).join('.');
}
