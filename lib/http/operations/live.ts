import { operation, type Operation } from '../operation.js';

export const liveOperation: Operation = operation({
  id: 'streamEvents',
  method: 'get',
  path: 'events',
  access: 'read',
  tag: 'overview',
  summary: 'How all stands and what changes, as server-sent events',
  description:
    'The event `overview` comes first, and again whenever the reader has been too slow; its data are those of /overview. `change` has what has changed since, whole, and leaves out the rest. `command`, for operators, is a command that somebody gave. What changes is told within a second. A comment comes at least each ten seconds.',
  answers: { 200: { description: 'The events', type: 'text/event-stream' } },
  run: (app, _input, { access }) => ({
    type: 'text/event-stream; charset=utf-8',
    stream: (response) => app.feed.add(response, access),
  }),
});
