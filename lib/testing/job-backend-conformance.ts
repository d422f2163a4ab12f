import assert from 'node:assert/strict';
import { cancelling } from './job-backend/cancelling.js';
import { claiming } from './job-backend/claiming.js';
import { commands } from './job-backend/commands.js';
import { type JobBackendConformanceOptions, resolveConformance } from './job-backend/conformance-options.js';
import { enqueueing } from './job-backend/enqueueing.js';
import { handles } from './job-backend/handles.js';
import { leases } from './job-backend/leases.js';
import { claimLimits } from './job-backend/limits.js';
import { looking } from './job-backend/looking.js';
import { order } from './job-backend/order.js';
import { type Part, partOf } from './job-backend/part.js';
import { settling } from './job-backend/settling.js';
import { uniqueKeys } from './job-backend/unique-keys.js';
import { waiting } from './job-backend/waiting.js';

const parts: Readonly<Record<string, (part: Part) => void>> = {
  capabilities,
  enqueueing,
  'unique keys': uniqueKeys,
  order,
  claiming,
  'claims that wait': waiting,
  'leases and tokens': leases,
  settling,
  'getting, listing and counting': looking,
  'deleting, retrying and pausing': commands,
  cancelling,
  limits: claimLimits,
  'opening, closing and sharing': handles,
};

/**
 * Declares the tests that any `JobBackend` must pass. They ask for all that the contract promises, each promise by
 * itself; what the backend says that it cannot do is shown as skipped.
 *
 * ```ts
 * import { describe, it } from 'vitest'; // or of Jest (`@jest/globals`), or of `node:test`
 * import { describeJobBackend } from 'nestjs-worker/testing';
 *
 * describeJobBackend({
 *   runner: { describe, it },
 *   capabilities: new SqlJobBackend(database).capabilities,
 *   async make() {
 *     const schema = await createEmptySchema();
 *     return {
 *       backend: new SqlJobBackend(database, schema),
 *       another: () => new SqlJobBackend(database, schema),
 *       now: () => database.now(),
 *       advance: (ms) => setTimeout(ms), // of node:timers/promises: its clock cannot be moved
 *       dispose: () => schema.drop(),
 *     };
 *   },
 * });
 * ```
 *
 * A backend that is given its clock takes a `FakeClock` for `now`, `advance` and `setTimer`, and says `timeTravels`.
 */
export function describeJobBackend(options: JobBackendConformanceOptions): void {
  const resolved = resolveConformance(options);
  const { describe } = options.runner;
  describe(`the job backend "${options.capabilities.name}"`, () => {
    for (const [name, declare] of Object.entries(parts)) describe(name, () => declare(partOf(resolved)));
  });
}

function capabilities({ it, options }: Part): void {
  it('says what it can do', async (t) => {
    // Each test may have a namespace of its own.
    const { namespace, ...said } = t.backend.capabilities;
    const { namespace: _, ...expected } = options.capabilities;
    assert.deepEqual(said, expected);
    assert.ok(['due', 'arrival', 'enqueued'].includes(said.order));
    assert.ok(namespace === undefined || (typeof namespace === 'string' && namespace !== ''));
    assert.equal(t.backend.keepLeases !== undefined, options.capabilities.leaseThread);
  });
}
