import {
  type InvalidOptionError,
  type InvalidPayloadError,
  isWorkError,
  type WorkError,
  type WorkErrorCode,
} from '../errors/index.js';
import type { ProblemDocument } from './documents/problem.js';

/** Every code that an answer of the HTTP API can carry beside those of our errors, and when it does. */
export const httpErrorCodes = {
  BODY_TOO_LARGE: 'the body is longer than `bodyLimit`',
  CROSS_ORIGIN: 'a page of another site sent the command; see `allowedOrigins`',
  FORBIDDEN: 'the guards do not let the caller do this',
  INTERNAL: 'something is wrong here; the log says what',
  JOB_NOT_FOUND:
    'no job of that id is stored; one that has completed is gone, unless `keepCompleted` keeps it',
  JOB_STATE_CONFLICT: 'the job is not in a state in which that can be done to it',
  MEDIA_TYPE_UNSUPPORTED: 'the body is to be application/json',
  NAMESPACE_NOT_FOUND: 'the namespace is not the one of this app',
  QUEUE_NOT_FOUND: 'no job queue of that name is registered in this app',
  REQUEST_MALFORMED:
    'the request cannot be read: its body is not JSON, or its path is not encoded as it should be',
  REQUEST_INVALID: 'a parameter or a field of the body is not what it should be; `issues` says which',
  REQUEST_REFUSED: 'the app has refused it for what the status says, such as 429 for too many requests',
  ROUTE_NOT_FOUND: 'there is nothing at this path, or not with this method',
  TASK_QUEUE_NOT_FOUND: 'no task queue of that name is in this app',
  UNAUTHENTICATED: 'the guards want to know who the caller is',
} as const;

export type HttpErrorCode = keyof typeof httpErrorCodes;

/** Who gets many of them cannot read them all. */
export const toldIssues = 10;

/** Where in a request something is wrong. */
export interface Issue {
  /** Such as `query.limit` or `body.payload`. */
  readonly path: string;
  readonly message: string;
}

/** An answer that says what is wrong. Thrown wherever that is found out. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: HttpErrorCode | WorkErrorCode,
    message: string,
    readonly issues: readonly Issue[] = [],
  ) {
    super(message);
    this.name = 'Problem';
  }

  get document(): ProblemDocument {
    const { message, code, issues } = this;
    return { error: message, code, ...(issues.length > 0 && { issues: [...issues] }) };
  }
}

/** What our errors mean to whoever sent the request. What is not listed is our fault. */
const statusOf: { readonly [Code in WorkErrorCode]?: number } = {
  INVALID_OPTION: 400,
  JOB_CURSOR_INVALID: 400,
  JOB_PAYLOAD_INVALID: 422,
  JOB_BACKEND_UNAVAILABLE: 503,
  JOB_ENQUEUE_FAILED: 503,
  POOL_STOPPING: 503,
  WORKER_DISABLED: 409,
  WORKER_NOT_FOUND: 404,
  WORKER_STUCK: 409,
};

/** What may not be told to whoever asks: messages of the backend name its hosts. */
const untold: { readonly [Code in WorkErrorCode]?: string } = {
  JOB_BACKEND_UNAVAILABLE: 'The job backend failed, or did not answer in time. The log says more.',
};

/** The answer to anything that was thrown; `undefined` where it is our fault. Never throws. */
export function problemOf(thrown: unknown): Problem | undefined {
  if (thrown instanceof Problem) return thrown;
  if (isWorkError(thrown)) {
    const status = statusOf[thrown.code];
    if (status === undefined) return undefined;
    const message = untold[thrown.code] ?? toldOf(thrown);
    return new Problem(status, thrown.code, message, issuesOf(thrown));
  }
  return problemOfStatus(thrown);
}

function toldOf(error: WorkError): string {
  if (!isWorkError(error, 'JOB_ENQUEUE_FAILED') || !('id' in error)) return error.message;
  return `Whether job ${String(error.id)} was stored is not known. Send it again with this id: as long as it is stored, it is not stored again.`;
}

function issuesOf(error: WorkError): Issue[] {
  if (isWorkError(error, 'INVALID_OPTION') && 'option' in error)
    return [{ path: (error as InvalidOptionError).option, message: 'It is not accepted.' }];
  if (!isWorkError(error, 'JOB_PAYLOAD_INVALID') || !('issues' in error)) return [];
  return (error as InvalidPayloadError).issues.slice(0, toldIssues).map(({ path, message }) => ({
    path: path === '' ? 'body.payload' : `body.payload.${path}`,
    message,
  }));
}

/** Where the backend will never be open: what is wrong with its options is nothing to whoever asks. */
export const unavailableProblem = new Problem(
  503,
  'JOB_BACKEND_UNAVAILABLE',
  untold.JOB_BACKEND_UNAVAILABLE!,
);

export const internalProblem = new Problem(500, 'INTERNAL', 'Something is wrong here. The log says what.');

/** Errors of Nest, Express and Fastify have a status. Only what is the caller's doing is told. */
function problemOfStatus(thrown: unknown): Problem | undefined {
  const { status, statusCode, message, type } = readable(thrown);
  const number = typeof status === 'number' ? status : statusCode;
  if (typeof number !== 'number' || !Number.isInteger(number)) return undefined;
  if (number < 400 || number >= 500) return undefined;
  switch (number) {
    case 401:
      return new Problem(401, 'UNAUTHENTICATED', 'Say who you are.');
    case 403:
      return new Problem(403, 'FORBIDDEN', 'You may not do this.');
    case 404:
      return new Problem(404, 'ROUTE_NOT_FOUND', 'There is nothing at this path, or not with this method.');
    case 413:
      return new Problem(413, 'BODY_TOO_LARGE', 'The body is too long.');
    case 415:
      return new Problem(415, 'MEDIA_TYPE_UNSUPPORTED', 'Send the body as application/json.');
    case 400: {
      const what = typeof message === 'string' && type !== undefined ? `: ${message}` : '';
      return new Problem(400, 'REQUEST_MALFORMED', `The request cannot be read${what}.`);
    }
    default:
      return new Problem(number, 'REQUEST_REFUSED', 'The app has refused the request; the status says why.');
  }
}

function readable(thrown: unknown): Partial<Record<'status' | 'statusCode' | 'message' | 'type', unknown>> {
  try {
    const { status, getStatus, statusCode, message, type } = Object(thrown) as Record<string, unknown>;
    const told = typeof getStatus === 'function' ? (getStatus.call(thrown) as unknown) : status;
    return { status: told, statusCode, message, type };
  } catch {
    return {};
  }
}
