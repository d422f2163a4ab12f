import { Type } from '@sinclair/typebox';
import { describe, expect, it } from 'vitest';
import { HttpApi } from '../../lib/http/http-api.js';
import { resolveHttpOptions } from '../../lib/http/http-options.js';
import { operation, type Operation } from '../../lib/http/operation.js';
import type { RawRequest } from '../../lib/http/read-request.js';
import { Pool } from '../../lib/pool/index.js';
import { RecordingLogger } from '../support/recording-logger.js';

const request: RawRequest = {
  url: '/workers/relay/stop',
  headers: {},
  params: { name: 'relay' },
  query: { queue: ['twice', 'given'] },
  body: undefined,
};
const operator = { access: 'operator', name: 'ann' } as const;

function setUp() {
  const logger = new RecordingLogger();
  const pool = new Pool({ logger });
  const options = resolveHttpOptions({ allowUnauthenticated: true }, 'a test');
  return { logger, api: new HttpApi(pool, options, 'work') };
}

const stop = (run: Operation['run'], access: Operation['access'] = 'command'): Operation =>
  operation({
    id: 'stopWorker',
    method: 'post',
    path: 'workers/{name}/stop',
    access,
    tag: 'tests',
    summary: 'Stops',
    parameters: { path: Type.Object({ name: Type.String() }) },
    answers: {},
    run,
  });

describe('HttpApi', () => {
  it('tells nobody but the log what is its own fault, and the log once', async () => {
    const { api, logger } = setUp();
    const error = new Error('at /srv/app.ts:1');
    const failing = stop(() => Promise.reject(error));
    const thrown: unknown = await api.answer(failing, request, operator).catch((problem: unknown) => problem);
    expect(thrown).toMatchObject({ status: 500, code: 'INTERNAL' });
    // What answers it looks at it again.
    expect(api.problem(thrown)).toBe(thrown);
    expect(logger.lines.filter(({ level }) => level === 'error')).toMatchObject([{ fields: { err: error } }]);
    expect(api.app.commands.commands).toMatchObject([
      { command: 'stopWorker', target: { worker: 'relay' }, by: 'ann', status: 500, code: 'INTERNAL' },
    ]);
  });

  it('notes commands and what they were about, and nothing else', async () => {
    const { api } = setUp();
    await api.answer(
      stop(() => ({ status: 201, body: {}, target: { job: 'one' } })),
      request,
      operator,
    );
    await api.answer(
      stop(() => ({ body: {} }), 'read'),
      request,
      operator,
    );
    expect(api.app.commands.commands).toMatchObject([
      { command: 'stopWorker', target: { worker: 'relay', job: 'one' }, status: 201, code: null },
    ]);
  });

  it('notes no endless names', async () => {
    const { api } = setUp();
    await api.answer(
      stop(() => ({ body: {} })),
      { ...request, params: { name: 'x'.repeat(10_000) } },
      operator,
    );
    expect(api.app.commands.commands[0]?.target['worker']).toHaveLength(200);
  });
});
