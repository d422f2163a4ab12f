import { JobsModule, TaskQueueModule } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { faultOf, fuzz } from '../../fuzz/fuzz.mjs';
import { bootOperated, guarded, operatedApp } from '../../support/http-app.js';
import { platforms } from '../../support/nest.js';

// The long form is `npm run fuzz`.
const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_122);

describe.each(platforms)(
  'A thousand requests that fast-check makes of the OpenAPI document, on %s',
  (platform) => {
    it('are answered as it says, without a 5xx and without a stack', async () => {
      const root = operatedApp(
        { ...guarded, bodyLimit: 65_536 },
        {},
        {
          imports: [
            JobsModule.registerQueue({ name: 'a b/c%', format: 'json' }),
            TaskQueueModule.register({ name: 'a b/c%' }),
          ],
        },
      );
      const client = await bootOperated(root, platform);
      const { body: document } = await client.get<object>('/openapi.json');
      const { done, statuses, faults } = await fuzz({ base: client.url, document, count: 1_000, seed });
      expect({ seed, faults }).toEqual({ seed, faults: [] });
      expect(done).toBe(1_000);
      // They come as far as the operations, and not only to the guards.
      for (const status of [200, 201, 400, 401, 403, 404]) expect(statuses[status]).toBeGreaterThan(0);
      expect(statuses['200']).toBeGreaterThan(200);
      expect((await client.get('/overview')).status).toBe(200);
    });
  },
);

describe('What is judged', () => {
  const document = { paths: { '/jobs': { get: { responses: { 200: {}, 400: {} } } } } };
  const request = { kind: 'valid', id: 'getJob', path: '/jobs', method: 'GET', headers: {} };
  const type = 'application/json';

  it.each([
    ['a 5xx', { status: 503, body: '{"error":"a","code":"B"}', type }],
    ['a stack', { status: 400, body: 'Error: no\n    at run (file.js:1:2)', type: 'text/plain' }],
    [
      'a stack in a field, for a viewer',
      { status: 200, body: '{"stack":"E: a\\n    at b (c.js:1:1)"}', type },
    ],
    ['a status that is not promised', { status: 409, body: '{"error":"a","code":"B"}', type }],
    ['another form of errors', { status: 400, body: '{"message":"a"}', type }],
  ])('finds %s', (_what, answer) => {
    expect(faultOf(document, request, answer)).toEqual(expect.any(String));
  });

  it('lets operators see the stacks of what they look at', () => {
    const operator = { ...request, headers: { authorization: 'Bearer operator' } };
    const body = '{"stack":"E: a\\n    at b (c.js:1:1)"}';
    expect(faultOf(document, operator, { status: 200, body, type })).toBeUndefined();
  });

  it('finds nothing wrong with a good answer', () => {
    expect(faultOf(document, request, { status: 200, body: '{}', type })).toBeUndefined();
    expect(
      faultOf(document, request, { status: 400, body: '{"error":"a","code":"B"}', type }),
    ).toBeUndefined();
  });
});
