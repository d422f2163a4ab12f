import { Type } from '@sinclair/typebox';
import { document } from '../documents/parts.js';
import {
  TaskQueueDocument,
  taskQueueDocument,
  TaskQueueSummary,
  taskQueueSummary,
} from '../documents/task-queue.js';
import { operation, type Operation } from '../operation.js';

const tag = 'task queues';

export const taskQueueOperations: readonly Operation[] = [
  operation({
    id: 'listTaskQueues',
    method: 'get',
    path: 'task-queues',
    access: 'read',
    tag,
    summary: 'All task queues of this process',
    answers: {
      200: {
        description: 'How they stand',
        schema: document('TaskQueueList', { task_queues: Type.Array(TaskQueueSummary) }),
      },
    },
    run: (app) => ({ body: { task_queues: app.taskQueues().map((one) => taskQueueSummary(one)) } }),
  }),
  operation({
    id: 'getTaskQueue',
    method: 'get',
    path: 'task-queues/{name}',
    access: 'read',
    tag,
    summary: 'One task queue, with the tasks that run',
    parameters: { path: Type.Object({ name: Type.String({ minLength: 1, description: 'Of the queue' }) }) },
    answers: {
      200: { description: 'How it stands', schema: TaskQueueDocument },
      404: { description: 'No task queue is named so' },
    },
    run: (app, { path: { name } }, { access }) => ({
      body: taskQueueDocument(app.taskQueue(name), app.seesAll(access)),
    }),
  }),
];
