import * as fc from 'fast-check';
import type { ClaimedJob, ClaimLimits, ClaimOptions, JobState, Settlement } from 'nestjs-worker';
import { type CommandName, type JobModelOptions, ModelRun, queue } from './job-backend-model-run.js';

export type { JobModelOptions } from './job-backend-model-run.js';

/** A command: a name to be read when it fails, and what it does. */
class Command implements fc.AsyncCommand<ModelRun, undefined> {
  constructor(
    readonly name: string,
    readonly given: unknown,
    readonly act: (run: ModelRun) => Promise<unknown> | void,
  ) {}

  check(): boolean {
    return true;
  }

  async run(run: ModelRun): Promise<void> {
    await this.act(run);
    await run.check();
  }

  toString(): string {
    return `${this.name}(${JSON.stringify(this.given)})`;
  }
}

/** How often each command comes. */
const weights: Readonly<Record<CommandName, number>> = {
  enqueue: 8,
  claim: 8,
  wait: 3,
  abort: 1,
  extend: 5,
  settle: 10,
  advance: 6,
  delete: 2,
  cancel: 3,
  retry: 2,
  pause: 1,
  count: 1,
  list: 1,
  look: 1,
};

const states: JobState[] = ['scheduled', 'ready', 'active', 'completed', 'cancelled', 'dead'];
const bytes = new TextEncoder();

/** `isCrowded`: many jobs are after the same few places, and many die. What comes of that is rare otherwise. */
function arbitraries(
  options: JobModelOptions,
  isCrowded: boolean,
): Record<CommandName, fc.Arbitrary<Command>> {
  const { times, limits: can } = options;
  const oneOf = (values: readonly number[]): fc.Arbitrary<number> => fc.constantFrom(...values);
  const which = fc.array(fc.nat(30), { minLength: 1, maxLength: 4 });

  const job = fc.record({
    // Now and then one that there was before.
    id: fc.oneof({ weight: 8, arbitrary: fc.nat(10_000) }, { weight: 1, arbitrary: fc.nat(5) }),
    due: fc.oneof(
      oneOf(times.delays).map((inMs) => ({ inMs })),
      fc.nat(5_000).map((ago) => ({ ago })),
    ),
    priority: fc.constantFrom(0, 0, 0, 1, -3),
    unique: fc.oneof(
      { weight: 4, arbitrary: fc.constant(undefined) },
      {
        weight: 1,
        arbitrary: fc.record({
          key: fc.constantFrom('u', 'v'),
          ttlMs: fc.option(oneOf(times.ttls), { nil: undefined }),
        }),
      },
    ),
    limitKey: isCrowded ? fc.constantFrom(undefined, 'a') : fc.constantFrom(undefined, undefined, 'a', 'b'),
  });
  const limits: fc.Arbitrary<ClaimLimits | undefined> = fc.constantFrom<ClaimLimits | undefined>(
    ...(isCrowded && can.perKey ? [{ perKey: 1 }, { perKey: 1 }, { perKey: 1 }] : [undefined, undefined]),
    ...(can.concurrency ? [{ concurrency: 2 }, { concurrency: 4 }] : []),
    ...(can.perKey ? [{ perKey: 1 }, { perKey: 2 }] : []),
    ...(can.concurrency && can.perKey ? [{ concurrency: 3, perKey: 1 }] : []),
  );
  const claim: fc.Arbitrary<ClaimOptions> = fc.record({
    limit: fc.integer({ min: 1, max: 4 }),
    prefetch: fc.constantFrom(0, 0, 1, 3),
    leaseMs: oneOf(times.leases),
    limits,
  });
  const settlement = fc.record({
    which: fc.nat(7),
    kind: fc.constantFrom(...settlementKinds, ...(isCrowded ? (['dead', 'dead'] as const) : [])),
    delayMs: oneOf(times.delays),
    keepMs: oneOf(times.keeps),
  });

  return {
    enqueue: fc.array(job, { minLength: 1, maxLength: 4 }).map(
      (jobs) =>
        new Command('enqueue', jobs, async (run) => {
          // One clock reading for all: a point in the past is the same whenever the command is repeated.
          const now = await run.now();
          await run.enqueue(
            jobs.map(({ id, due, ...rest }) => ({
              ...rest,
              id: `job-${String(id).padStart(5, '0')}`,
              queue,
              name: '',
              payload: bytes.encode(`payload ${id}`),
              due: 'ago' in due ? { at: now - due.ago } : due,
            })),
          );
        }),
    ),
    claim: claim.map((options) => new Command('claim', options, async (run) => run.claimNow(options))),
    wait: claim.map(
      (options) =>
        new Command('wait', options, async (run) => {
          if (!run.isWaiting) await run.wait(options);
        }),
    ),
    abort: fc.constant(new Command('abort', '', async (run) => run.abort())),
    extend: fc.tuple(which, oneOf(times.leases)).map(
      ([claims, leaseMs]) =>
        new Command('extend', { claims, leaseMs }, async (run) => {
          const jobs = claims.map((one) => run.claim(one)).filter((one) => one !== undefined);
          await run.extend([...new Set(jobs)], leaseMs);
        }),
    ),
    settle: fc
      .tuple(
        fc.array(settlement, { maxLength: 5 }),
        isCrowded ? fc.constant(2) : fc.constantFrom(0, 1, 3, 100),
        fc.option(claim, { nil: undefined, freq: 2 }),
      )
      .map(
        ([given, maxDead, thenClaim]) =>
          new Command('settle', { given, maxDead, thenClaim }, async (run) => {
            const settlements: Settlement[] = [];
            for (const one of given) {
              const held = run.claim(one.which);
              // What becomes of a job that is settled twice in one call is asked by the suite.
              if (held === undefined || settlements.some(({ job: { id } }) => id === held.id)) continue;
              settlements.push(settlementOf(held, one, maxDead));
            }
            await run.settle(settlements, maxDead, thenClaim);
          }),
      ),
    advance: oneOf(times.advances).map((ms) => new Command('advance', ms, async (run) => run.advance(ms))),
    delete: which.map(
      (ids) =>
        new Command('delete', ids, async (run) => run.delete([...new Set(ids.map((one) => run.id(one)))])),
    ),
    cancel: fc
      .tuple(which, oneOf(times.keeps))
      .map(
        ([ids, keepMs]) =>
          new Command('cancel', { ids, keepMs }, async (run) =>
            run.cancel([...new Set(ids.map((one) => run.id(one)))], keepMs),
          ),
      ),
    retry: which.map(
      (ids) =>
        new Command('retry', ids, async (run) => run.retry([...new Set(ids.map((one) => run.id(one)))])),
    ),
    pause: fc.boolean().map((paused) => new Command('pause', paused, async (run) => run.pause(paused))),
    count: oneOf(times.delays).map((ms) => new Command('count', ms, async (run) => run.count(ms))),
    list: fc
      .tuple(fc.constantFrom(...states), fc.constantFrom(1, 2, 100))
      .map(([state, limit]) => new Command('list', { state, limit }, async (run) => run.list(state, limit))),
    look: fc.constant(new Command('look', '', async (run) => run.look())),
  };
}

const settlementKinds = [
  'completed',
  'failed',
  'snoozed',
  'put-off',
  'released',
  'interrupted',
  'dead',
  'cancelled',
] as const;

interface SettlementShape {
  readonly kind: (typeof settlementKinds)[number];
  readonly delayMs: number;
  readonly keepMs: number;
}

function settlementOf(
  job: ClaimedJob,
  { kind, delayMs, keepMs }: SettlementShape,
  maxDead: number,
): Settlement {
  const { failures, claimedAt } = job;
  const times = { attempt: failures + 1, startedAt: claimedAt, endedAt: claimedAt };
  switch (kind) {
    case 'completed':
      return { kind, job, keepMs };
    case 'failed':
      return {
        kind: 'scheduled',
        job,
        delayMs,
        failures: failures + 1,
        attempt: { ...times, outcome: 'failed', error: 'boom' },
      };
    case 'snoozed':
      return { kind: 'scheduled', job, delayMs, failures, attempt: { ...times, outcome: 'snoozed' } };
    case 'put-off':
      return { kind: 'scheduled', job, delayMs, failures };
    case 'released':
      return { kind, job };
    case 'interrupted':
      return { kind: 'released', job, attempt: { ...times, outcome: 'cancelled' } };
    case 'dead':
      return {
        kind,
        job,
        cause: 'exhausted',
        failures: failures + 1,
        error: 'boom',
        attempt: { ...times, outcome: 'failed', error: 'boom' },
        maxDead,
      };
    case 'cancelled':
      return { kind, job, keepMs, attempt: { ...times, outcome: 'cancelled' } };
  }
}

/** Makes schedules, and does what they say to the backend and to the model, until one of them says otherwise. */
export async function checkJobModel(
  options: JobModelOptions,
  parameters: fc.Parameters<unknown> & { readonly maxCommands: number },
): Promise<void> {
  const { maxCommands, ...rest } = parameters;
  const names = options.commands ?? (Object.keys(weights) as CommandName[]);
  const schedules = [false, true].map((isCrowded) => {
    const all = arbitraries(options, isCrowded);
    const weighted = names.flatMap((name) => Array.from({ length: weights[name] }, () => all[name]));
    return fc.commands(weighted, { maxCommands, size: 'max' });
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(...schedules), async (commands) => {
      const run = await ModelRun.open(options);
      try {
        await fc.asyncModelRun(() => ({ model: run, real: undefined }), commands);
      } catch (error) {
        await run.close().catch(() => {});
        throw error;
      }
      await run.finish();
    }),
    rest,
  );
}
