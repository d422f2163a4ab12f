import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { ErrorInfo } from '../../events/index.js';

/** What every document is made of: nothing but what its schema names. */
export const document = <Properties extends Record<string, TSchema>>($id: string, properties: Properties) =>
  Type.Object(properties, { $id, additionalProperties: false });

export const nullable = <Schema extends TSchema>(schema: Schema, description?: string) =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description });

export const time = (description: string) => Type.String({ format: 'date-time', description });
export const maybeTime = (description: string) => nullable(Type.String({ format: 'date-time' }), description);
export const seconds = (description: string) => Type.Number({ minimum: 0, description });
export const count = (description: string) => Type.Integer({ minimum: 0, description });
/** JSON knows no Infinity. */
export const limit = (description: string) =>
  nullable(Type.Integer({ minimum: 0 }), `${description}; null: without limit`);

/** One of some texts. */
export const oneOf = <const Values extends readonly string[]>(values: Values, description?: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value as Values[number])),
    description === undefined ? {} : { description },
  );

export const ErrorDocument = document('WorkError', {
  name: Type.String(),
  message: Type.String(),
  code: Type.Optional(Type.String({ description: 'Where it has one, such as ECONNREFUSED' })),
  stack: Type.Optional(Type.String({ description: 'For operators only' })),
  causes: Type.Optional(Type.Array(Type.String(), { description: 'The messages of what caused it' })),
});
export type ErrorDocument = Static<typeof ErrorDocument>;

/** Errors whose messages quote payloads, or name hosts. */
const forOperators: ReadonlySet<string | undefined> = new Set([
  'JOB_PAYLOAD_INVALID',
  'JOB_BACKEND_UNAVAILABLE',
  'JOB_ENQUEUE_FAILED',
]);
const textForOperators =
  /\b(?:InvalidPayloadError|JobBackendError|EnqueueError)\b|was refused: its payload|The job backend "/;

/** What was said of an attempt, for whom it is; `null` where it is not, or where nothing was said. */
export function toldText(text: string | undefined, whole: boolean): string | null {
  return text === undefined || (!whole && textForOperators.test(text)) ? null : text;
}

/** `withStack`: stacks are for operators, and so is what some messages say. */
export function errorDocument(error: ErrorInfo | undefined, withStack: boolean): ErrorDocument | null {
  if (error === undefined) return null;
  const { name, code, stack } = error;
  const causes: string[] = [];
  let isForOperators = forOperators.has(code);
  for (let { cause } = error; cause !== undefined; cause = cause.cause) {
    causes.push(cause.message);
    isForOperators ||= forOperators.has(cause.code);
  }
  if (!withStack && isForOperators) {
    const message = 'Its page tells operators what it says.';
    return { name, message, ...(code !== undefined && { code }) };
  }
  return {
    name,
    message: error.message,
    ...(code !== undefined && { code }),
    ...(withStack && stack !== undefined && { stack }),
    ...(causes.length > 0 && { causes }),
  };
}

export function timeOf(at: Date | number): string {
  return new Date(at).toISOString();
}

export function maybeTimeOf(at: Date | number | undefined): string | null {
  return at === undefined ? null : timeOf(at);
}

export function secondsOf(ms: number): number {
  return Math.max(0, ms) / 1_000;
}

export function limitOf(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
