import { Type } from '@sinclair/typebox';
import type { WorkerExecution } from '../../workers/index.js';
import { WorkerDocument, workerDocument, WorkerSummary, workerSummary } from '../documents/worker.js';
import { document } from '../documents/parts.js';
import type { HttpApp } from '../http-app.js';
import { type Answer, operation, type Operation } from '../operation.js';
import { waitBriefly } from '../wait-briefly.js';

const tag = 'workers';
const path = Type.Object({ name: Type.String({ minLength: 1, description: 'Of the worker' }) });
const notFound = { description: 'No worker is named so' };
const whole = { description: 'The worker as it stands now', schema: WorkerDocument };

function answerOf(app: HttpApp, name: string, withStacks: boolean): Answer {
  const execution = app.workers.execution(name);
  return { body: workerDocument(execution, app.workers.registration(name), withStacks) };
}

type Command = (app: HttpApp, name: string) => void | Promise<unknown>;

/** A worker may take its time to end: who gave the command is told how it stands by then. */
const command = (id: string, verb: string, summary: string, description: string, run: Command): Operation =>
  operation({
    id,
    method: 'post',
    path: `workers/{name}/${verb}`,
    access: 'command',
    tag,
    summary,
    description,
    parameters: { path },
    answers: {
      200: whole,
      404: notFound,
      409: { description: 'It is disabled, or an earlier attempt of it has not ended' },
    },
    async run(app, { path: { name } }) {
      await waitBriefly(app.pool, async () => run(app, name));
      return answerOf(app, name, true);
    },
  });

export const workerOperations: readonly Operation[] = [
  operation({
    id: 'listWorkers',
    method: 'get',
    path: 'workers',
    access: 'read',
    tag,
    summary: 'All workers of this process',
    answers: {
      200: {
        description: 'How they stand',
        schema: document('WorkerList', { workers: Type.Array(WorkerSummary) }),
      },
    },
    run: (app) => ({
      body: { workers: app.workers.executions().map((one: WorkerExecution) => workerSummary(one)) },
    }),
  }),
  operation({
    id: 'getWorker',
    method: 'get',
    path: 'workers/{name}',
    access: 'read',
    tag,
    summary: 'One worker, with its history',
    parameters: { path },
    answers: { 200: whole, 404: notFound },
    run: (app, { path: { name } }, { access }) => answerOf(app, name, app.seesAll(access)),
  }),
  command('startWorker', 'start', 'Starts a worker', 'Does nothing to one that runs.', (app, name) =>
    app.workers.start(name),
  ),
  command(
    'stopWorker',
    'stop',
    'Stops a worker',
    'It is told to end, and stays stopped until somebody starts it. Answers once it has ended, or after two seconds.',
    async (app, name) => app.workers.stop(name),
  ),
  command(
    'restartWorker',
    'restart',
    'Stops a worker and starts it again',
    'With a fresh count of attempts. Answers once it has started, or after two seconds; it goes on either way.',
    async (app, name) => app.workers.restart(name),
  ),
];
