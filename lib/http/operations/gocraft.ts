import { type Static, Type } from '@sinclair/typebox';
import { v7 as uuid } from 'uuid';
import type { JobQueue, StoredJob } from '../../jobs/index.js';
import { count, document, nullable, oneOf, time, timeOf, toldText } from '../documents/parts.js';
import { jobStates } from '../documents/job.js';
import { goDurationMs } from '../go-duration.js';
import { findJob } from '../find-job.js';
import type { HttpApp } from '../http-app.js';
import { operation, type Operation } from '../operation.js';
import { Problem } from '../problem.js';
import { jobId, queueName, safeJobId } from './parameters.js';
import { unknownJob } from './jobs.js';

// The contract of the HTTP server of gocraft/work v2, for its clients: github.com/taylorchu/work, http/openapi.yaml.

const tag = 'gocraft/work';
const namespace = Type.String({ minLength: 1, maxLength: 500, description: 'That of this app' });
const ns = { namespace };
const unknown = { description: 'The job, the queue or the namespace is not known here' };

const GoJob = document('GoJob', {
  id: Type.String(),
  created_at: time('When it was enqueued'),
  updated_at: time('When it was last attempted; when it was enqueued, where it was not'),
  enqueued_at: time('When it is due'),
  payload: nullable(Type.String(), 'Its bytes as base64; null where it has none, or for read-only callers'),
  retries: count('Attempts that have failed'),
  last_error: Type.String({ description: 'Of the last attempt; empty: none' }),
});

const JobAnswer = document('GoJobAnswer', { namespace: Type.String(), queue_id: Type.String(), job: GoJob });

const JobStatusAnswer = document('GoJobStatusAnswer', {
  namespace: Type.String(),
  status: oneOf(jobStates, 'Beyond the contract of gocraft/work: active, cancelled and dead'),
  job: GoJob,
});

const CreateJobRequest = Type.Object(
  {
    namespace: Type.Optional(Type.String({ ...namespace, description: 'May be a query parameter instead' })),
    queue_id: Type.Optional(Type.String({ ...queueName, description: 'May be a query parameter instead' })),
    id: Type.Optional(nullable(Type.String({ pattern: `^$|${safeJobId}` }), 'Of your making; empty: none')),
    payload: Type.Optional(nullable(Type.String({ contentEncoding: 'base64' }), 'Its bytes as base64')),
    delay: Type.Optional(
      nullable(Type.String({ maxLength: 100 }), "How long until it is due: '10s', '1m30s'"),
    ),
  },
  { $id: 'GoCreateJobRequest' },
);

const MetricsAnswer = document('GoQueueMetrics', {
  namespace: Type.String(),
  queue_id: Type.String(),
  ready_total: count('Jobs that are due and held by nobody'),
  scheduled_total: count('Jobs that are due later; what Go programs hold is among these'),
  total: count('All of them, and those that are active'),
  latency: count('How long the ready job that has waited longest has been due, in nanoseconds'),
  active_total: count('Jobs that are being run. Beyond the contract of gocraft/work, as is all that follows'),
  latency_seconds: Type.Number({ minimum: 0, description: 'The same in seconds' }),
});

/** Throws `Problem`. */
function checkNamespace(app: HttpApp, given: string): void {
  if (given === app.namespace) return;
  throw new Problem(
    404,
    'NAMESPACE_NOT_FOUND',
    `Namespace ${JSON.stringify(given.slice(0, 200))} is not the one of this app.`,
  );
}

/** As the backend has it: its payload is bytes. */
const storedJob = (app: HttpApp, id: string, queue?: string): Promise<[JobQueue, StoredJob] | undefined> =>
  findJob(app, queue, async (one) => (await one.stored([id]))[0]);

/** Of one that was just enqueued: it is stored, whether the backend shows it or not. */
async function seenJob(app: HttpApp, id: string, queue: string): Promise<StoredJob | undefined> {
  try {
    const [, job] = (await storedJob(app, id, queue)) ?? (await storedJob(app, id)) ?? [];
    return job;
  } catch {
    return undefined;
  }
}

function goJobOf(job: StoredJob, whole: boolean): Static<typeof GoJob> {
  const attemptedAt = job.history.at(-1)?.endedAt ?? job.createdAt;
  return {
    id: job.id,
    created_at: timeOf(job.createdAt),
    updated_at: timeOf(job.endedAt ?? attemptedAt),
    enqueued_at: timeOf(job.dueAt),
    payload: whole && job.payload !== undefined ? Buffer.from(job.payload).toString('base64') : null,
    retries: job.failures,
    last_error: toldText(job.lastError, whole) ?? '',
  };
}

const anyQueue = Type.Object({ ...ns, job_id: jobId, queue_id: Type.Optional(queueName) });
const oneQueue = Type.Object({ ...ns, job_id: jobId, queue_id: queueName });

export const gocraftOperations: readonly Operation[] = [
  operation({
    id: 'createJob',
    method: 'post',
    path: 'jobs',
    access: 'command',
    tag,
    summary: 'Enqueues a job by its bytes',
    description: 'One whose id is stored already is answered as it is; that is atomic.',
    parameters: {
      query: Type.Object({ namespace: Type.Optional(namespace), queue_id: Type.Optional(queueName) }),
    },
    body: CreateJobRequest,
    answers: {
      200: { description: 'The job, stored now or before', schema: JobAnswer },
      404: unknown,
      422: { description: 'The payload is not what the schema of the handler says' },
    },
    async run(app, { query, body }) {
      const given = {
        namespace: body.namespace ?? query.namespace,
        queue_id: body.queue_id ?? query.queue_id,
      };
      const { namespace: name, queue_id } = required(given);
      checkNamespace(app, name);
      const queue = app.queue(queue_id);
      const payload = bytesOf(body.payload ?? undefined);
      const delay = delayOf(body.delay ?? '');
      const id = body.id === undefined || body.id === null || body.id === '' ? uuid() : body.id;
      const enqueued = await queue.enqueueBytes(payload, { id, delay });
      const job = await seenJob(app, enqueued.id, queue_id);
      const now = timeOf(app.pool.clock.now());
      // It may have completed by now.
      const done = {
        id: enqueued.id,
        created_at: now,
        updated_at: now,
        enqueued_at: timeOf(Math.min(app.pool.clock.now() + delay, 8.64e15)),
        payload: body.payload ?? null,
        retries: 0,
        last_error: '',
      };
      return {
        body: { namespace: name, queue_id, job: job === undefined ? done : goJobOf(job, true) },
        target: { queue: queue_id, job: enqueued.id },
      };
    },
  }),
  operation({
    id: 'getJob',
    method: 'get',
    path: 'jobs',
    access: 'read',
    tag,
    summary: 'One job, by its id',
    parameters: { query: anyQueue },
    answers: { 200: { description: 'How it stands', schema: JobStatusAnswer }, 404: unknown },
    async run(app, { query }, { access }) {
      checkNamespace(app, query.namespace);
      const [, job] = (await storedJob(app, query.job_id, query.queue_id)) ?? [];
      if (job === undefined) throw unknownJob(query.job_id);
      return {
        body: { namespace: query.namespace, status: job.state, job: goJobOf(job, app.seesAll(access)) },
      };
    },
  }),
  operation({
    id: 'deleteJob',
    method: 'delete',
    path: 'jobs',
    access: 'command',
    tag,
    summary: 'Deletes a job for good',
    parameters: { query: oneQueue },
    answers: { 200: { description: 'The job that was deleted', schema: JobAnswer }, 404: unknown },
    async run(app, { query }) {
      const { namespace: name, queue_id, job_id } = query;
      checkNamespace(app, name);
      const [queue, job] = (await storedJob(app, job_id, queue_id)) ?? [];
      if (queue === undefined || job === undefined) throw unknownJob(job_id);
      const [answer] = await queue.delete([job_id]);
      if (answer === 'unknown') throw unknownJob(job_id);
      return { body: { namespace: name, queue_id, job: goJobOf(job, true) } };
    },
  }),
  operation({
    id: 'getMetrics',
    method: 'get',
    path: 'metrics',
    access: 'read',
    tag,
    summary: 'How a queue stands',
    description: 'As JSON. The metrics for Prometheus are where the app has them.',
    parameters: { query: Type.Object({ ...ns, queue_id: queueName }) },
    answers: { 200: { description: 'How it stands', schema: MetricsAnswer }, 404: unknown },
    async run(app, { query: { namespace: name, queue_id } }) {
      checkNamespace(app, name);
      const [counts] = await app.counts([app.queue(queue_id)]);
      const { ready, scheduled, active, oldestReadyAgeMs } = counts!;
      const body = {
        namespace: name,
        queue_id,
        ready_total: ready,
        scheduled_total: scheduled,
        total: ready + scheduled + active,
        latency: Math.round(Math.max(0, oldestReadyAgeMs) * 1e6),
        active_total: active,
        latency_seconds: Math.max(0, oldestReadyAgeMs) / 1_000,
      };
      return { body };
    },
  }),
];

/** Throws `Problem`. */
function required(given: Readonly<Record<'namespace' | 'queue_id', string | undefined>>): {
  namespace: string;
  queue_id: string;
} {
  const { namespace: name, queue_id } = given;
  if (name !== undefined && queue_id !== undefined) return { namespace: name, queue_id };
  const missing = Object.entries(given).filter(([, value]) => value === undefined);
  throw invalid(missing.map(([field]) => ({ path: `body.${field}`, message: 'It is required.' })));
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Throws `Problem`. */
function bytesOf(payload: string | undefined): Uint8Array | undefined {
  if (payload === undefined || payload === '') return undefined;
  if (base64.test(payload)) return new Uint8Array(Buffer.from(payload, 'base64'));
  throw invalid([{ path: 'body.payload', message: 'It is not base64 (the standard alphabet, padded).' }]);
}

/** Throws `Problem`. */
function delayOf(given: string | undefined): number {
  if (given === undefined || given === '') return 0;
  const ms = goDurationMs(given);
  if (ms !== undefined) return ms;
  throw invalid([{ path: 'body.delay', message: "A length of time such as '10s' or '1m30s' is wanted." }]);
}

function invalid(issues: Problem['issues']): Problem {
  return new Problem(400, 'REQUEST_INVALID', 'The body is not what it should be.', issues);
}
