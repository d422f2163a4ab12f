import { Type } from '@sinclair/typebox';
import { CommandDocument } from '../documents/command.js';
import { OverviewDocument } from '../documents/overview.js';
import { document } from '../documents/parts.js';
import { operation, type Operation } from '../operation.js';

const tag = 'overview';

export const overviewOperations: readonly Operation[] = [
  operation({
    id: 'getOverview',
    method: 'get',
    path: 'overview',
    access: 'read',
    tag,
    summary: 'Workers, task queues and job queues at one glance',
    answers: { 200: { description: 'How all stands', schema: OverviewDocument } },
    run: async (app, _input, { access }) => ({ body: await app.overview(access) }),
  }),
  operation({
    id: 'listCommands',
    method: 'get',
    path: 'commands',
    access: 'operator',
    tag,
    summary: 'The last commands that this process was given',
    answers: {
      200: {
        description: 'Newest first; at most 200',
        schema: document('CommandList', { commands: Type.Array(CommandDocument) }),
      },
    },
    run: (app) => ({ body: { commands: [...app.commands.commands] } }),
  }),
];
