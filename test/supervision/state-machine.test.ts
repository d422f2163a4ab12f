import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WorkEvent } from '../../lib/events/index.js';
import { ExecutionRecord, type ExecutionStatus } from '../../lib/execution/index.js';
import type { SupervisionOptions } from '../../lib/supervision/index.js';
import { ManualWorker } from '../support/manual-worker.js';
import { Supervised } from '../support/supervised.js';

/** All that a status may be followed by. */
const allowed: Record<ExecutionStatus, readonly ExecutionStatus[]> = {
  unknown: ['deferred', 'running', 'stopping', 'disabled'],
  deferred: ['running', 'stopping'],
  running: ['success', 'error', 'stalled', 'stuck', 'stopping'],
  backoff: ['running', 'stopping'],
  stalled: ['error', 'stuck', 'stopping'],
  stuck: ['error', 'cancelled'],
  stopping: ['cancelled', 'error', 'stuck'],
  // Told before what follows it: a restart, or a new start.
  success: ['backoff', 'deferred', 'running', 'stopping'],
  error: ['backoff', 'deferred', 'running', 'stopping'],
  cancelled: ['deferred', 'running', 'stopping'],
  disabled: [],
};

const terminal = new Set<ExecutionStatus>(['unknown', 'success', 'error', 'cancelled', 'disabled']);

type Command =
  | {
      readonly do:
        | 'start'
        | 'stop'
        | 'restart'
        | 'flash'
        | 'abandon'
        | 'fail'
        | 'succeed'
        | 'beat'
        | 'disobey';
    }
  | { readonly do: 'advance'; readonly ms: number };

const one = <Name extends Command['do']>(name: Name): fc.Arbitrary<{ do: Name }> => fc.constant({ do: name });

const scripts: fc.Arbitrary<readonly Command[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(0, 1, 99, 100, 400, 5_000).map((ms) => ({ do: 'advance', ms }) as const),
    },
    { weight: 4, arbitrary: one('start') },
    { weight: 2, arbitrary: fc.oneof(one('fail'), one('succeed')) },
    { weight: 2, arbitrary: fc.oneof(one('disobey'), one('beat')) },
    { weight: 2, arbitrary: fc.oneof(one('stop'), one('restart'), one('flash'), one('abandon')) },
  ),
  { maxLength: 40 },
);

const firstDisobey: readonly Command[] = [{ do: 'disobey' }];

/** Half of the workers disobey from the beginning. */
const commands = fc
  .tuple(fc.boolean(), scripts)
  .map(([disobey, script]): readonly Command[] => (disobey ? firstDisobey.concat(script) : script));

const options: fc.Arbitrary<SupervisionOptions> = fc
  .record({
    deferredStart: fc.constantFrom(0, 100),
    maxAttempts: fc.constantFrom(1, 3, Infinity),
    restart: fc.constantFrom('on-failure', 'always', 'never'),
    backoff: fc.constantFrom(
      'none' as const,
      { initial: 100, max: 400, jitter: false },
      { initial: 100, jitter: 1 },
      () => 1_000 / 3,
    ),
    resetAfter: fc.constantFrom(0, 400),
    abortGrace: fc.constantFrom(0, 100),
    enabled: fc.integer({ min: 0, max: 9 }).map((number) => number > 0),
    limits: fc.constantFrom({}, { timeout: 100 }, { stallTimeout: 100 }, { timeout: 400, stallTimeout: 100 }),
  })
  .map(({ limits, ...others }) => Object.assign(others, limits));

/** Ends its attempts when told to, unless the test makes one disobey: that one goes on until a command ends it. */
class MoodyWorker extends ManualWorker {
  disobedient = false;

  constructor() {
    super({ obedient: false });
  }

  override async run(ctx: Parameters<ManualWorker['run']>[0]): Promise<unknown> {
    const running = super.run(ctx);
    const { attempt } = this;
    const obey = (): void => {
      if (!this.disobedient) attempt.fail(ctx.signal.reason);
    };
    ctx.signal.addEventListener('abort', obey);
    if (ctx.signal.aborted) obey();
    return running;
  }
}

async function follow(life: Supervised, worker: MoodyWorker, command: Command): Promise<void> {
  const { supervisor, clock } = life;
  switch (command.do) {
    case 'start':
      return supervisor.start();
    case 'stop':
      void supervisor.stop('stop-requested');
      return;
    case 'restart':
      void supervisor.stop('stop-requested');
      return supervisor.start();
    case 'flash':
      supervisor.start();
      void supervisor.stop('stop-requested');
      return;
    case 'abandon':
      return supervisor.abandon();
    case 'fail':
      return worker.attempts.at(-1)?.fail();
    case 'succeed':
      return worker.attempts.at(-1)?.succeed();
    case 'beat':
      return worker.attempts.at(-1)?.ctx.heartbeat();
    case 'disobey':
      worker.disobedient = !worker.disobedient;
      return;
    case 'advance':
      return clock.advance(command.ms);
  }
}

/** Follows the commands, and stops at the end; answers each status that it went through. */
async function live(
  given: SupervisionOptions,
  script: readonly Command[],
): Promise<[Supervised, ExecutionStatus[]]> {
  const worker = new MoodyWorker();
  const life = new Supervised(given, { worker, historySize: 5 });
  const statuses: ExecutionStatus[] = ['unknown', life.supervisor.record.status];
  life.listener = () => statuses.push(life.supervisor.record.status);
  for (const command of script) {
    await follow(life, worker, command);
    // Sometimes the next command comes before anything has happened.
    if (command.do !== 'restart' && command.do !== 'disobey') await life.clock.settle();
  }
  worker.disobedient = false;
  const stopped = life.supervisor.stop('shutdown');
  worker.attempts.at(-1)?.succeed();
  await stopped;
  await life.clock.settle();
  return [life, statuses];
}

/** Tries many scripts, and answers each transition that was met. */
async function explore(
  parameters: fc.Parameters<[SupervisionOptions, readonly Command[]]>,
): Promise<Set<string>> {
  const met = new Set<string>();
  const property = fc.asyncProperty(options, commands, async (given, script) => {
    const [life, statuses] = await live(given, script);

    expect(life.worker.mostAtOnce).toBeLessThanOrEqual(1);
    expect(life.worker.running).toBe(0);
    const strayed: string[] = [];
    statuses.slice(1).forEach((status, index) => {
      const previous = statuses[index]!;
      met.add(`${previous} → ${status}`);
      if (status !== previous && !allowed[previous].includes(status)) strayed.push(`${previous} → ${status}`);
    });
    expect(strayed).toEqual([]);
    expect(life.clock.pending).toBe(0);
    expect(life.supervisor.active).toBe(false);
    expect(terminal).toContain(life.supervisor.record.status);
    expect(life.reports).toEqual([]);

    const ids = life.of('started').map(({ executionId }) => executionId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(life.worker.attempts.length).toBe(ids.length);
    const { maxAttempts = 1 } = given;
    for (const { attempt } of life.of('started')) expect(attempt).toBeLessThanOrEqual(maxAttempts);
  });
  await fc.assert(property, parameters);
  return met;
}

describe('the state machine', () => {
  it('holds under any sequence of commands', async () => {
    const met = await explore({ numRuns: 1_000 });
    expect(met).toContain('unknown → running');
  });

  it('has no transition that the table allows and nothing leads to', async () => {
    const met = await explore({ numRuns: 5_000, seed: 1 });
    const all = Object.entries(allowed).flatMap(([from, targets]) => targets.map((to) => `${from} → ${to}`));
    expect(all.filter((transition) => !met.has(transition))).toEqual([]);
  });

  it('keeps a record that is the fold of its events', async () => {
    await fc.assert(
      fc.asyncProperty(options, commands, async (given, script) => {
        const [life] = await live(given, script);
        const record = new ExecutionRecord(5);
        life.events.forEach((event: WorkEvent) => record.apply(event));
        const { supervisor } = life;
        expect(Object.entries(supervisor.record)).toEqual(
          Object.entries(record).map(([key, value]) => [
            key,
            key === 'history' ? supervisor.record.history : value,
          ]),
        );
        expect(supervisor.record.history.history()).toEqual(record.history.history());
      }),
      { numRuns: 100 },
    );
  });
});
