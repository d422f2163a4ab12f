import { inspect } from 'node:util';
import { isWorkError } from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { CancelJob, DiscardJob, SnoozeJob } from '../../lib/jobs/control-flow.js';
import type {
  BlockingClaimOptions,
  ClaimedJob,
  ClaimOptions,
  SettleAnswer,
  Settlement,
  StoredJob,
} from '../../lib/jobs/job-backend.js';
import type { JobAttemptContext } from '../../lib/jobs/job-run.js';
import type { Job, JobContext } from '../../lib/jobs/job.js';
import { MemoryJobBackend } from '../../lib/jobs/memory-job-backend.js';
import { suspectsOf } from '../../lib/jobs/suspects.js';
import { same } from '../support/job-backend-model-checks.js';
import { JobProcess } from './job-process.js';

/** What one run of a job does. `hang` ends when it is told to, `deaf` no sooner for that. */
export interface Plan {
  readonly do: 'succeed' | 'fail' | 'discard' | 'snooze' | 'cancel' | 'hang' | 'deaf';
  readonly afterMs: number;
}

export type Command =
  /** `plans`: of its runs; those after the last one succeed. */
  | {
      readonly do: 'enqueue';
      readonly plans: readonly Plan[];
      readonly delayMs: number;
      readonly times: number;
    }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'stop' | 'stopOnly'; readonly which: number; readonly timeoutMs: number }
  | { readonly do: 'start' | 'abandon' | 'runOnce' | 'kill' | 'mend'; readonly which: number }
  | {
      readonly do: 'break';
      readonly which: number;
      readonly how: 'fails' | 'hangs';
      readonly call: 'claim' | 'extend' | 'settle';
    };

type How = 'returned' | 'failed' | 'discarded' | 'snoozed' | 'cancelled' | 'interrupted';

interface Run {
  readonly token: string;
  readonly by: Member;
  readonly ctx: JobContext;
  /** Whether `runOnce()` runs it. */
  readonly alone: boolean;
  how: How | undefined;
  abortedFor: string | undefined;
  settlement: Settlement | undefined;
}

/** What is known of a job, by what it did and what the backend was told, and by nothing that a consumer says. */
interface Known {
  readonly id: string;
  readonly dueAt: number;
  readonly plans: readonly Plan[];
  readonly runs: Run[];
  failures: number;
  end: Settlement | undefined;
}

interface Member {
  readonly process: JobProcess;
  /** Whether calls to the backend have failed, or what ran was left behind: not all that it did was told. */
  excused: boolean;
}

/** As the ledgers of chaos are: written by the backend itself. */
class RecordedBackend extends MemoryJobBackend {
  readonly claims = new Map<string, { readonly job: ClaimedJob; readonly alone: boolean }>();
  onSettled: (settlement: Settlement) => void = () => {};

  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    const claimed = await super.claim(queue, options);
    // Nobody else does not wait.
    for (const job of claimed) this.claims.set(job.token, { job, alone: options.waitMs === 0 });
    return claimed;
  }

  override async settle(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim?: ClaimOptions,
  ): Promise<SettleAnswer> {
    const answer = await super.settle(queue, settlements, thenClaim);
    for (const job of answer.claimed) this.claims.set(job.token, { job, alone: false });
    settlements.forEach((settlement, index) => answer.accepted[index] && this.onSettled(settlement));
    return answer;
  }
}

const maxAttempts = 3;
// So that there are suspects soon.
const quarantineAfter = 2;
const concurrency = 2;
const kept = { keepCompletedMs: 10 ** 9, keepCancelledMs: 10 ** 9 };
const longestDrainMs = 3_600_000;
const ends = new Set<Settlement['kind']>(['completed', 'cancelled', 'dead']);

/** Two processes on one backend, the jobs that they were given, and what must hold of them at any time. */
export class ConsumerModelRun {
  readonly clock = new FakeClock();
  readonly #memory = new RecordedBackend({ clock: this.clock });
  readonly #jobs = new Map<string, Known>();
  readonly #members: Member[] = [];
  readonly #all: Member[] = [];
  /** What was promised and has not settled. */
  readonly #promised = new Set<string>();
  readonly #wrong: string[] = [];
  readonly #releases = new Set<() => void>();
  #closed = false;
  #promises = 0;

  constructor() {
    this.#memory.onSettled = (settlement) => this.#settled(settlement);
  }

  async open(): Promise<void> {
    for (let index = 0; index < 2; index++) this.#members[index] = this.#newMember();
    for (const { process } of this.#members) await process.start();
  }

  async do(command: Command): Promise<void> {
    switch (command.do) {
      case 'enqueue':
        await this.#enqueue(command);
        break;
      case 'advance':
        await this.clock.advance(command.ms);
        break;
      default:
        await this.#tell(this.#members[command.which % 2]!, command);
    }
    await this.clock.settle();
    this.check();
  }

  check(): void {
    same(this.#wrong, [], 'what is wrong');
    for (const { process } of this.#all) {
      const { runner } = process.consumer;
      const lone = [...runner.runs].filter(({ claimed }) => this.#memory.claims.get(claimed.token)?.alone);
      same(runner.running - lone.length <= concurrency, true, 'the limit of concurrency');
    }
  }

  /** Lets everything come to its end, and looks at what has become of each job. */
  async finish(): Promise<void> {
    for (const { process } of this.#members) {
      process.backend.mend();
      process.pool.start();
    }
    const from = this.clock.monotonic();
    while ([...this.#jobs.values()].some(({ end }) => end === undefined)) {
      if (this.clock.monotonic() - from > longestDrainMs) break;
      await this.clock.advance('10s');
      this.check();
    }
    for (const { process } of this.#members)
      same(process.consumer.runner.leases.held, 0, 'leases held for nothing');
    await this.#close();
    this.check();
    same([...this.#promised], [], 'what has not settled');
    const stored = await this.#memory.get('mail', [...this.#jobs.keys()]);
    [...this.#jobs.values()].forEach((job, index) => this.#examine(job, stored[index]));
    for (const member of this.#all) this.#examineMember(member);
    const [counts] = await this.#memory.counts(['mail'], { dueWithinMs: 0 });
    same([counts!.ready, counts!.scheduled, counts!.active], [0, 0, 0], 'what is left in the queue');
    same(this.clock.pending, 0, 'timers that are left');
  }

  /** Ends it, whatever has happened. */
  async abort(): Promise<void> {
    if (!this.#closed) await this.#close().catch(() => {});
  }

  async #close(): Promise<void> {
    this.#closed = true;
    const closed = this.#all.map(({ process }) => process.pool.close());
    await this.clock.advance('2m');
    await Promise.all(closed);
    await Promise.all(this.#all.map(({ process }) => process.connection.close()));
    for (const release of this.#releases) release();
    await this.clock.settle();
  }

  #newMember(): Member {
    const process: JobProcess = new JobProcess(
      this.#memory,
      this.clock,
      (job, ctx) => this.#handle(job, ctx, member),
      {
        concurrency,
        quarantineAfter,
        entry: { maxAttempts, timeoutMs: 40_000, abortGraceMs: 5_000, ...kept },
      },
    );
    const member: Member = { process, excused: false };
    this.#all.push(member);
    return member;
  }

  async #enqueue({ plans, delayMs, times }: Extract<Command, { do: 'enqueue' }>): Promise<void> {
    for (let time = 0; time < times; time++) {
      const id = `job-${String(this.#jobs.size).padStart(4, '0')}`;
      const dueAt = this.clock.now() + delayMs;
      this.#jobs.set(id, { id, dueAt, plans, runs: [], failures: 0, end: undefined });
      const job = { id, queue: 'mail', name: '', payload: undefined, priority: 0 };
      await this.#memory.enqueue([{ ...job, due: { inMs: delayMs } }]);
    }
  }

  async #tell(member: Member, command: Exclude<Command, { do: 'enqueue' | 'advance' }>): Promise<void> {
    const { process } = member;
    switch (command.do) {
      case 'stop':
        return this.#promise(
          'stop',
          process.pool.stop(command.timeoutMs).then(() => this.#leftBehind(member)),
        );
      case 'stopOnly':
        return this.#promise('stopOnly', process.pool.stopOnly([process.consumer], command.timeoutMs));
      case 'abandon':
        process.consumer.abandon();
        return this.#leftBehind(member);
      case 'start':
        return process.pool.start();
      case 'runOnce':
        return this.#promise('runOnce', process.consumer.runOnce());
      case 'break':
        member.excused = true;
        return process.backend.break(command.how, command.call);
      case 'mend':
        return process.backend.mend();
      case 'kill': {
        if (this.#all.length >= 6) return;
        process.kill();
        member.excused = true;
        const next = this.#newMember();
        this.#members[this.#members.indexOf(member)] = next;
        await next.process.start();
      }
    }
  }

  /** What runs still after a stop was abandoned. */
  #leftBehind(member: Member): void {
    const { runner } = member.process.consumer;
    if (runner.running > 0 || runner.settler.isActive) member.excused = true;
  }

  /** It settles, by the end at the latest; and rejects with nothing but what it may. */
  #promise(what: string, promise: Promise<unknown>): void {
    const name = `${what}() at ${this.clock.monotonic()} ms, number ${++this.#promises}`;
    this.#promised.add(name);
    const end = (): boolean => this.#promised.delete(name);
    promise.then(end, (error: unknown) => {
      end();
      const expected = isWorkError(error, 'POOL_STOPPING') || isWorkError(error, 'JOB_BACKEND_UNAVAILABLE');
      if (!expected) this.#wrong.push(`${name}: ${inspect(error)}`);
    });
  }

  async #handle({ id, attempt, dueAt }: Job, ctx: JobContext, by: Member): Promise<void> {
    const job = this.#jobs.get(id)!;
    const { token } = ctx;
    const claim = this.#memory.claims.get(token);
    const run: Run = {
      token,
      by,
      ctx,
      alone: claim?.alone === true,
      how: undefined,
      abortedFor: undefined,
      settlement: undefined,
    };
    this.#begins(job, run, attempt, dueAt.getTime());
    const plan = job.plans[job.runs.length] ?? { do: 'succeed', afterMs: 0 };
    job.runs.push(run);
    try {
      await this.#perform(plan, ctx);
      run.how = 'returned';
    } catch (error) {
      run.how = ctx.signal.aborted ? 'interrupted' : hows[plan.do];
      throw error;
    } finally {
      run.abortedFor = (ctx as JobAttemptContext).abortedFor?.reason;
    }
  }

  async #perform(plan: Plan, ctx: JobContext): Promise<void> {
    if (plan.do === 'hang') await new Promise((_, reject) => onAbort(ctx.signal, reject));
    else if (plan.do === 'deaf') await this.#sleepOn(plan.afterMs);
    else if (plan.afterMs > 0) await ctx.sleep(plan.afterMs);
    if (plan.do === 'fail') throw new Error('no');
    if (plan.do === 'discard') throw new DiscardJob('of no use');
    if (plan.do === 'snooze') throw new SnoozeJob('2s');
    if (plan.do === 'cancel') throw new CancelJob();
  }

  #sleepOn(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = this.clock.setTimer(() => end(), ms);
      const end = (): void => {
        cancelTimer();
        this.#releases.delete(end);
        resolve();
      };
      this.#releases.add(end);
    });
  }

  #begins(job: Known, run: Run, attempt: number, dueAt: number): void {
    const { id } = job;
    const now = this.clock.now();
    const wrong = (what: string): void => void this.#wrong.push(`${id}: ${what}`);
    if (job.end !== undefined) wrong('runs after its end');
    if (now < dueAt || now < job.dueAt) wrong('runs before it is due');
    if (attempt !== job.failures + 1) wrong(`is at attempt ${attempt} after ${job.failures} failures`);
    if (job.runs.some(({ token }) => token === run.token)) wrong('runs twice under one token');
    const beside = job.runs.filter(({ how, by }) => how === undefined && by.process.lives);
    // Whoever runs it still has lost it, and was told before.
    if (beside.some(({ ctx }) => !ctx.signal.aborted)) wrong('runs beside itself');
    const suspects = [...run.by.process.consumer.runner.runs].filter(
      ({ claimed, isStuck }) =>
        claimed.deaths === quarantineAfter - 1 &&
        !isStuck &&
        this.#memory.claims.get(claimed.token)?.alone !== true,
    );
    if (suspects.length > 1) wrong('is a suspect that runs beside another');
  }

  /** The backend was told what became of a job, and has taken it. */
  #settled(settlement: Settlement): void {
    const { kind } = settlement;
    const { id, token, deaths } = settlement.job;
    const job = this.#jobs.get(id)!;
    const run = job.runs.find((one) => one.token === token);
    const was = JSON.stringify(
      { ...settlement, job: undefined, how: run?.how, abortedFor: run?.abortedFor },
      null,
      1,
    );
    const wrong = (what: string): void => void this.#wrong.push(`${id}: ${what} ${was}`);
    if (job.end !== undefined) wrong('ends, or is put back, after its end');
    if (run?.settlement !== undefined) wrong('is settled twice');
    if (run !== undefined) run.settlement = settlement;
    const failures = 'failures' in settlement ? settlement.failures : job.failures;
    if (run === undefined) {
      const quarantined = kind === 'dead' && settlement.cause === 'quarantined' && deaths >= quarantineAfter;
      const putOff = kind === 'scheduled' && settlement.attempt === undefined && deaths > 0;
      if (kind !== 'released' && !quarantined && !putOff) wrong('is settled though it has not run:');
      if (failures !== job.failures) wrong('has lost an attempt though it has not run:');
    } else {
      const expected = expectedFrom(run, job.failures);
      if (!expected.kinds.includes(kind)) wrong(`is to be ${expected.kinds.join(' or ')}, and not`);
      if (failures !== expected.failures) wrong(`is to have failed ${expected.failures} times, and not`);
      if (kind === 'dead' && (settlement.cause === 'discarded') !== (run.how === 'discarded'))
        wrong('is dead by another cause');
    }
    job.failures = failures;
    if (ends.has(kind)) job.end = settlement;
  }

  #examine({ id, end, runs, failures }: Known, stored: StoredJob | undefined): void {
    same(end !== undefined, true, `that ${id} has come to an end`);
    same([stored?.state, stored?.failures], [end?.kind, failures], id);
    for (const { how, by, abortedFor, settlement, token } of runs) {
      const excused = by.excused || abortedFor === 'lease-lost';
      if (by.process.lives) same(how !== undefined, true, `that ${id} ${token} has ended`);
      if (!excused) same(settlement !== undefined, true, `that ${id} ${token} was settled`);
    }
  }

  #examineMember({ process }: Member): void {
    const { runner } = process.consumer;
    same([runner.running, runner.atHand, runner.stuck], [0, 0, 0], 'what runs, is at hand and is stuck');
    same(suspectsOf(process.pool).isEmpty, true, 'that nobody waits for a suspect');
    const runs = [...this.#jobs.values()].flatMap((job) => job.runs);
    const own = runs.filter(({ by }) => by.process === process);
    const counted = Object.values(runner.tally.attempts).reduce((sum, count) => sum + count, 0);
    same(counted, own.length, 'how many attempts were counted');
  }
}

const hows: Readonly<Record<Plan['do'], How>> = {
  succeed: 'returned',
  fail: 'failed',
  discard: 'discarded',
  snooze: 'snoozed',
  cancel: 'cancelled',
  hang: 'interrupted',
  deaf: 'returned',
};

/** What is to become of a job, of which so many attempts had failed, after such a run. */
function expectedFrom(
  { how, abortedFor }: Run,
  failures: number,
): { readonly kinds: readonly Settlement['kind'][]; readonly failures: number } {
  const failed = {
    kinds: [failures + 1 >= maxAttempts ? 'dead' : 'scheduled'],
    failures: failures + 1,
  } as const;
  if (abortedFor === 'lease-lost') return { kinds: ['released'], failures };
  if (abortedFor === 'timeout') return failed;
  switch (how) {
    case 'returned':
      return { kinds: ['completed'], failures };
    case 'failed':
      return failed;
    case 'discarded':
      return { kinds: ['dead'], failures: failures + 1 };
    case 'snoozed':
      return { kinds: ['scheduled'], failures };
    case 'cancelled':
      return { kinds: ['cancelled'], failures };
    default:
      return { kinds: ['released'], failures };
  }
}

function onAbort(signal: AbortSignal, reject: (reason: unknown) => void): void {
  if (signal.aborted) return reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
}
