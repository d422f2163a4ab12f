import { Type } from '@sinclair/typebox';
import { parseDuration } from '../../clock/index.js';
import type { EnqueueOptions, JobQueue, JobView } from '../../jobs/index.js';
import { JobDocument, jobDocument } from '../documents/job.js';
import { document, oneOf } from '../documents/parts.js';
import type { HttpApp } from '../http-app.js';
import { operation, type Operation } from '../operation.js';
import { Problem } from '../problem.js';
import { findJob } from '../find-job.js';
import { jobId, queueName, queuePath, safeJobId, unknownQueue } from './parameters.js';

const tag = 'jobs';
const path = Type.Object({ id: jobId });
const query = Type.Object({
  queue: Type.Optional(
    Type.String({
      ...queueName,
      description: 'Its queue. Without it, all queues of the app are looked through',
    }),
  ),
});
const whole = { description: 'The job as it stands now', schema: JobDocument };
const notFound = { description: 'Nothing is stored of such a job, or no such queue is registered' };
const conflict = { description: 'The job is not in a state for that' };

export function unknownJob(id: string): Problem {
  return new Problem(
    404,
    'JOB_NOT_FOUND',
    `Nothing is stored of a job ${id}; one that has completed may be gone.`,
  );
}

/** Throws `Problem`. */
async function found(app: HttpApp, id: string, queue: string | undefined): Promise<[JobQueue, JobView]> {
  const job = await findJob(app, queue, (one) => one.get(id));
  if (job === undefined) throw unknownJob(id);
  return job;
}

/** What a command has made of a job: it is done, whether the backend shows it or not. */
async function seen(queue: JobQueue, id: string): Promise<JobView | undefined> {
  try {
    return await queue.get(id);
  } catch {
    return undefined;
  }
}

const cannot = (what: string, id: string, state: string): Problem =>
  new Problem(409, 'JOB_STATE_CONFLICT', `Job ${id} cannot be ${what}: it ${state}.`);

/** RFC 3339. */
const dateTime = '^\\d{4}-\\d{2}-\\d{2}[Tt]\\d{2}:\\d{2}:\\d{2}(?:\\.\\d{1,9})?(?:[Zz]|[+-]\\d{2}:\\d{2})$';

const EnqueueRequest = document('EnqueueRequest', {
  payload: Type.Optional(Type.Unknown({ description: 'Any JSON; what the schema of the handler accepts' })),
  id: Type.Optional(
    Type.String({
      pattern: safeJobId,
      description: 'Of your making. A job whose id is stored is left as it is',
    }),
  ),
  name: Type.Optional(
    Type.String({ minLength: 1, maxLength: 1_000, description: 'Which handler is to run it' }),
  ),
  delay: Type.Optional(
    Type.Union([Type.Number({ minimum: 0 }), Type.String({ minLength: 1, maxLength: 100 })], {
      description: "How long until it is due: milliseconds, or a text such as '10s'",
    }),
  ),
  not_before: Type.Optional(
    Type.String({ pattern: dateTime, description: 'When it is due (RFC 3339), instead of delay' }),
  ),
  priority: Type.Optional(
    Type.Integer({ minimum: -100, maximum: 100, description: 'Higher runs first. Default 0' }),
  ),
  unique: Type.Optional(
    Type.Object(
      {
        key: Type.String({ minLength: 1, maxLength: 1_000 }),
        ttl: Type.Optional(
          Type.Union([Type.Number({ minimum: 1 }), Type.String({ minLength: 1, maxLength: 100 })], {
            description: "How long the key is held at most: milliseconds, or a text such as '10m'",
          }),
        ),
      },
      { additionalProperties: false, description: 'While a job with that key lives, no other is stored' },
    ),
  ),
  limit_key: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
  headers: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 10_000 }))),
});

const Enqueued = document('EnqueuedJob', {
  id: Type.String({ description: 'Of the job; where it is a duplicate, of the one that holds its key' }),
  queue: Type.String(),
  status: oneOf(['enqueued', 'exists', 'duplicate']),
});

export const jobOperations: readonly Operation[] = [
  operation({
    id: 'enqueueJob',
    method: 'post',
    path: 'queues/{queue}/jobs',
    access: 'command',
    tag,
    summary: 'Enqueues a job',
    description:
      'With an `id`, sending it again after an error is safe: however many do so at once, the job is stored once.',
    parameters: { path: queuePath },
    body: EnqueueRequest,
    answers: {
      201: { description: 'It is stored', schema: Enqueued },
      200: { description: 'A job of that id is stored already, or its unique key is held', schema: Enqueued },
      404: unknownQueue,
      422: { description: 'The payload is not what the schema of the handler says' },
    },
    async run(app, input) {
      const { payload, limit_key, not_before, delay, unique, ...rest } = input.body;
      const options = {
        ...rest,
        ...(delay !== undefined && { delay: durationOf('delay', delay) }),
        ...(not_before !== undefined && { notBefore: new Date(not_before) }),
        ...(limit_key !== undefined && { limitKey: limit_key }),
        ...(unique !== undefined && {
          unique: {
            key: unique.key,
            ...(unique.ttl !== undefined && { ttl: durationOf('unique.ttl', unique.ttl) }),
          },
        }),
      } as EnqueueOptions;
      const { id, status } = await app.queue(input.path.queue).enqueue(payload, options);
      const body = { id, queue: input.path.queue, status };
      return { status: status === 'enqueued' ? 201 : 200, body, target: { job: id } };
    },
  }),
  operation({
    id: 'getJobById',
    method: 'get',
    path: 'jobs/{id}',
    access: 'read',
    tag,
    summary: 'One job, with its history',
    parameters: { path, query },
    answers: { 200: whole, 404: notFound },
    async run(app, input, { access }) {
      const [, job] = await found(app, input.path.id, input.query.queue);
      return { body: jobDocument(job, app.seesAll(access)) };
    },
  }),
  operation({
    id: 'retryJob',
    method: 'post',
    path: 'jobs/{id}/retry',
    access: 'command',
    tag,
    summary: 'Makes a dead or scheduled job due now',
    description: 'With all its attempts before it. Nothing changes where it is ready already.',
    parameters: { path, query },
    answers: { 200: whole, 404: notFound, 409: conflict },
    async run(app, { path: { id }, query: { queue: name } }) {
      const [queue, before] = await found(app, id, name);
      const [answer] = await queue.retry([id]);
      if (answer === 'active') throw cannot('retried', id, 'is being run');
      if (answer === 'ended') throw cannot('retried', id, 'has ended');
      if (answer === 'unknown') throw unknownJob(id);
      const job = (await seen(queue, id)) ?? { ...before, state: 'ready' as const };
      return { body: jobDocument(job, true), target: { queue: queue.name } };
    },
  }),
  operation({
    id: 'cancelJob',
    method: 'post',
    path: 'jobs/{id}/cancel',
    access: 'command',
    tag,
    summary: 'Cancels a job',
    description:
      'One that waits is not run; one that is being run is aborted, and what it ends with is refused.',
    parameters: { path, query },
    answers: { 200: whole, 404: notFound, 409: conflict },
    async run(app, { path: { id }, query: { queue: name } }) {
      const [queue, before] = await found(app, id, name);
      const [answer] = await queue.cancel([id]);
      if (answer === 'ended') throw cannot('cancelled', id, 'has ended');
      if (answer === 'unknown') throw unknownJob(id);
      const job = (await seen(queue, id)) ?? { ...before, state: 'cancelled' as const };
      return { body: jobDocument(job, true), target: { queue: queue.name } };
    },
  }),
  operation({
    id: 'deleteJobById',
    method: 'delete',
    path: 'jobs/{id}',
    access: 'command',
    tag,
    summary: 'Deletes a job for good',
    description: 'Whatever its state; one that is being run is aborted, and does not come back.',
    parameters: { path, query },
    answers: { 200: { description: 'The job that was deleted', schema: JobDocument }, 404: notFound },
    async run(app, { path: { id }, query: { queue: name } }) {
      const [queue, job] = await found(app, id, name);
      const [answer] = await queue.delete([id]);
      if (answer === 'unknown') throw unknownJob(id);
      return { body: jobDocument(job, true), target: { queue: queue.name } };
    },
  }),
];

/** Throws `Problem`. */
function durationOf(field: string, value: number | string): number {
  const ms = parseDuration(value);
  if (ms !== undefined && Number.isFinite(ms) && ms >= 0) return ms;
  throw new Problem(400, 'REQUEST_INVALID', 'The body is not what it should be.', [
    { path: `body.${field}`, message: "A number of milliseconds, or a text such as '10s', is wanted." },
  ]);
}
