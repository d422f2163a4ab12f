import {
  BadRequestException,
  ForbiddenException,
  HttpException,
  UnauthorizedException,
} from '@nestjs/common';
import { errorCodes, InvalidOptionError, type WorkErrorCode } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { EnqueueError, InvalidPayloadError, JobBackendError, WorkError } from '../../lib/errors/index.js';
import { httpErrorCodes, internalProblem, Problem, problemOf } from '../../lib/http/problem.js';

/** What each of our errors is to whoever sent a request; what is not here is our own fault. */
const statusOf: { readonly [Code in WorkErrorCode]?: number } = {
  INVALID_OPTION: 400,
  JOB_CURSOR_INVALID: 400,
  WORKER_NOT_FOUND: 404,
  WORKER_DISABLED: 409,
  WORKER_STUCK: 409,
  JOB_PAYLOAD_INVALID: 422,
  JOB_BACKEND_UNAVAILABLE: 503,
  JOB_ENQUEUE_FAILED: 503,
  POOL_STOPPING: 503,
};

/** What a command cannot lead to, but for a defect: 500, with a line in the log. */
const ourFault: ReadonlySet<WorkErrorCode> = new Set<WorkErrorCode>([
  'ATTEMPT_ABORTED',
  'CANCEL',
  'DISCARD',
  'DUPLICATE_NAME',
  'JOB_BACKEND_MISSING',
  'JOB_EXPIRED',
  'JOB_HANDLER_NOT_FOUND',
  'JOB_HANDLER_WITHOUT_HANDLE',
  'JOB_NOT_COMPLETED',
  'JOB_QUEUE_NOT_FOUND',
  'MIDDLEWARE_NOT_FOUND',
  'NEXT_CALLED_TWICE',
  'PEER_NOT_FOUND',
  'POOL_CONFIGURED_LATE',
  'POOL_OPTIONS_CONFLICT',
  'SNOOZE',
  'TASK_INTERRUPTED',
  'TASK_QUEUE_CLOSED',
  'TASK_QUEUE_FULL',
  'WORKER_NOT_STATIC',
  'WORKER_WITHOUT_RUN',
]);

class SomeError extends WorkError {
  constructor(readonly code: WorkErrorCode) {
    super('what happened');
  }
}

describe('problemOf', () => {
  it.each(Object.keys(errorCodes) as WorkErrorCode[])('knows what %s means', (code) => {
    expect([code in statusOf, ourFault.has(code)].filter(Boolean)).toHaveLength(1);
    const problem = problemOf(new SomeError(code));
    expect(problem?.status).toBe(statusOf[code]);
    if (problem !== undefined) expect(problem.document).toMatchObject({ code, error: expect.any(String) });
  });

  it('gives back a Problem', () => {
    const problem = new Problem(404, 'JOB_NOT_FOUND', 'no', [{ path: 'a', message: 'b' }]);
    expect(problemOf(problem)).toBe(problem);
    expect(problem.document).toEqual({
      error: 'no',
      code: 'JOB_NOT_FOUND',
      issues: [{ path: 'a', message: 'b' }],
    });
  });

  it('tells nobody what the backend said', () => {
    const cause = new Error('connect ECONNREFUSED redis.internal:6379');
    for (const error of [
      new JobBackendError('redis', `failed: ${cause.message}`, { cause }),
      new EnqueueError('mail', ['a'], cause.message, { cause }),
    ]) {
      expect(JSON.stringify(problemOf(error)?.document)).not.toMatch(/internal|6379|ECONN/);
    }
  });

  it('says which option, and what of a payload', () => {
    const option = new InvalidOptionError({
      owner: 'o',
      option: 'unique.key',
      given: 1,
      accepted: 'a',
      cure: 'c',
    });
    expect(problemOf(option)?.issues).toEqual([{ path: 'unique.key', message: 'It is not accepted.' }]);
    const issues = [
      { path: 'to.mail', message: 'no mail' },
      { path: '', message: 'no object' },
    ];
    const payload = new InvalidPayloadError('mail', 'a', 'is wrong', issues);
    expect(problemOf(payload)?.issues).toEqual([
      { path: 'body.payload.to.mail', message: 'no mail' },
      { path: 'body.payload', message: 'no object' },
    ]);
    const many = Array.from({ length: 100 }, () => issues[0]!);
    expect(problemOf(new InvalidPayloadError('mail', 'a', 'is wrong', many))?.issues).toHaveLength(10);
  });

  it.each<[unknown, number, string]>([
    [new UnauthorizedException('secret reason'), 401, 'UNAUTHENTICATED'],
    [new ForbiddenException('secret reason'), 403, 'FORBIDDEN'],
    [new BadRequestException('secret reason'), 400, 'REQUEST_MALFORMED'],
    [new HttpException('secret reason', 429), 429, 'REQUEST_REFUSED'],
    [{ status: 413, type: 'entity.too.large' }, 413, 'BODY_TOO_LARGE'],
    [{ statusCode: 415, code: 'FST_ERR_CTP_INVALID_MEDIA_TYPE' }, 415, 'MEDIA_TYPE_UNSUPPORTED'],
    [{ statusCode: 404 }, 404, 'ROUTE_NOT_FOUND'],
    [{ statusCode: 414 }, 414, 'REQUEST_REFUSED'],
  ])('takes %o for %d %s', (thrown, status, code) => {
    const problem = problemOf(thrown);
    expect([problem?.status, problem?.code]).toEqual([status, code]);
    expect(problem?.message).not.toContain('secret');
  });

  it('tells what a parser says is wrong', () => {
    const thrown = Object.assign(new SyntaxError('Unexpected end of JSON input'), {
      status: 400,
      type: 'entity.parse.failed',
    });
    expect(problemOf(thrown)?.message).toBe('The request cannot be read: Unexpected end of JSON input.');
  });

  const throwing = {
    get status(): never {
      throw new Error('hostile');
    },
  };
  const throwingLater = {
    getStatus(): never {
      throw new Error('hostile');
    },
  };

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'text'],
    ['a number', 42],
    ['an error', new Error('at /srv/app.ts:1')],
    ['status 500', { status: 500 }],
    ['status 200', { status: 200 }],
    ['a status that is a text', { status: '404' }],
    ['a status that is no number', { status: Number.NaN }],
    ['an error of Nest that is ours', new HttpException('down', 503)],
    ['what throws when it is looked at', throwing],
    ['what throws when it is asked', throwingLater],
  ])('takes %s for our own fault, and does not throw', (_what, thrown) => {
    expect(problemOf(thrown)).toBeUndefined();
  });

  it('has a meaning for each code, and tells nothing where it is our fault', () => {
    for (const [code, meaning] of Object.entries(httpErrorCodes)) {
      expect(code).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
      expect(meaning.length).toBeGreaterThan(10);
      expect(code in errorCodes).toBe(false);
    }
    expect(internalProblem.document).toEqual({
      error: 'Something is wrong here. The log says what.',
      code: 'INTERNAL',
    });
  });
});
