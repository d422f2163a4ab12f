import { Type } from '@sinclair/typebox';
import { JobPageDocument, jobStates, jobSummary } from '../documents/job.js';
import {
  JobQueueDocument,
  jobQueueDocument,
  JobQueueSummary,
  jobQueueSummary,
} from '../documents/job-queue.js';
import { document, oneOf } from '../documents/parts.js';
import type { HttpApp } from '../http-app.js';
import { type Answer, type Caller, operation, type Operation } from '../operation.js';
import { queuePath, unknownQueue } from './parameters.js';

const tag = 'job queues';
const whole = { description: 'How it stands', schema: JobQueueDocument };

/** `isDone`: a command was carried out, whether the backend says how things stand now or not. */
async function answerOf(app: HttpApp, name: string, { access }: Caller, isDone = false): Promise<Answer> {
  const queue = app.queue(name);
  const counted = app.counts([queue]);
  const [counts] = await (isDone ? counted.catch(() => []) : counted);
  return { body: jobQueueDocument({ queue, counts }, app.samples.of(name), app.seesAll(access)) };
}

const setPaused = (paused: boolean): Operation =>
  operation({
    id: paused ? 'pauseQueue' : 'resumeQueue',
    method: 'post',
    path: `queues/{queue}/${paused ? 'pause' : 'resume'}`,
    access: 'command',
    tag,
    summary: paused ? 'Pauses a queue in every process' : 'Ends the pause of a queue',
    description: paused ? 'None of its jobs is handed out any more; those that run go on.' : '',
    parameters: { path: queuePath },
    answers: { 200: whole, 404: unknownQueue },
    async run(app, { path }, caller) {
      const queue = app.queue(path.queue);
      await (paused ? queue.pause() : queue.resume());
      return answerOf(app, path.queue, caller, true);
    },
  });

export const jobQueueOperations: readonly Operation[] = [
  operation({
    id: 'listQueues',
    method: 'get',
    path: 'queues',
    access: 'read',
    tag,
    summary: 'All job queues of this app',
    answers: {
      200: {
        description: 'How they stand, also where the backend does not answer',
        schema: document('JobQueueList', { queues: Type.Array(JobQueueSummary) }),
      },
    },
    run: async (app) => ({ body: { queues: (await app.views()).map((view) => jobQueueSummary(view)) } }),
  }),
  operation({
    id: 'getQueue',
    method: 'get',
    path: 'queues/{queue}',
    access: 'read',
    tag,
    summary: 'One job queue, with its throughput and its last minutes',
    parameters: { path: queuePath },
    answers: { 200: whole, 404: unknownQueue },
    run: (app, { path }, caller) => answerOf(app, path.queue, caller),
  }),
  setPaused(true),
  setPaused(false),
  operation({
    id: 'redriveQueue',
    method: 'post',
    path: 'queues/{queue}/redrive',
    access: 'command',
    tag,
    summary: 'Retries the dead jobs of a queue',
    description: 'All that are dead by now, or `limit` of them, with all their attempts before them.',
    parameters: { path: queuePath },
    body: document('RedriveRequest', {
      limit: Type.Optional(Type.Integer({ minimum: 1, description: 'At most so many. Default: all' })),
    }),
    bodyOptional: true,
    answers: {
      200: {
        description: 'How many were retried',
        schema: document('Redriven', {
          retried: Type.Integer({ minimum: 0, description: 'Jobs that are due now' }),
        }),
      },
      404: unknownQueue,
    },
    run: async (app, { path, body }) => ({
      body: {
        retried: await app.queue(path.queue).redrive(body.limit === undefined ? {} : { limit: body.limit }),
      },
    }),
  }),
  operation({
    id: 'listJobs',
    method: 'get',
    path: 'queues/{queue}/jobs',
    access: 'read',
    tag: 'jobs',
    summary: 'Jobs of one state, a page at a time',
    parameters: {
      path: queuePath,
      query: Type.Object({
        state: oneOf(jobStates, 'Which of them'),
        cursor: Type.Optional(
          Type.String({ minLength: 1, maxLength: 2_000, description: 'From the page before' }),
        ),
        limit: Type.Optional(
          Type.Integer({ minimum: 1, maximum: 1_000, description: 'Jobs per page. Default 100' }),
        ),
      }),
    },
    answers: { 200: { description: 'The page', schema: JobPageDocument }, 404: unknownQueue },
    async run(app, { path, query }, { access }) {
      const seesAll = app.seesAll(access);
      const { jobs, cursor } = await app.queue(path.queue).list(query);
      return { body: { jobs: jobs.map((job) => jobSummary(job, seesAll)), cursor: cursor ?? null } };
    },
  }),
];
