import { randomBytes } from 'node:crypto';
import { ignoreRejection } from '../../errors/index.js';
import type {
  BlockingClaimOptions,
  ClaimedJob,
  ClaimOptions,
  JobBackendHost,
  SettleAnswer,
  Settlement,
} from '../../jobs/index.js';
import { isUnreadable } from './job-record.js';
import { largestBatch, type RedisScripts } from './redis-scripts.js';
import { type Answer, type ClaimAnswer, claimAnswer, yesOrNo } from './script-answers.js';
import { claimArguments, settlementArguments } from './script-arguments.js';
import { giveBackScript } from './scripts/change.js';
import { claimScript } from './scripts/claim.js';
import { settleScript } from './scripts/settle.js';
import { WaitingClaims } from './waiting-claims.js';
import type { WakeSubscriber } from './wake-subscriber.js';

/** So long a close may take for what is under way; then it is cut off. */
const longestCloseMs = 1_000;
/** Of jobs that nobody can read, so many are kept. */
const mostUnreadable = 10_000;

/** Claims jobs, waits for some, and tells what became of them. */
export class RedisClaims {
  readonly waiting = new WaitingClaims();
  readonly #scripts: RedisScripts;
  readonly #subscriber: WakeSubscriber;
  readonly #host: JobBackendHost;
  readonly #pollIntervalMs: number;
  readonly #underWay = new Set<Promise<unknown>>();
  /** Calls whose answer was lost, by queue: what they may have claimed is to be given back. */
  readonly #lostCalls = new Map<string, string[]>();
  readonly #name = randomBytes(4).toString('hex');
  #calls = 0;
  #closing = false;

  constructor(
    scripts: RedisScripts,
    subscriber: WakeSubscriber,
    host: JobBackendHost,
    pollIntervalMs: number,
  ) {
    this.#scripts = scripts;
    this.#subscriber = subscriber;
    this.#host = host;
    this.#pollIntervalMs = pollIntervalMs;
  }

  claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    return this.#track(this.#claim(queue, options));
  }

  settle(queue: string, settlements: readonly Settlement[], thenClaim?: ClaimOptions): Promise<SettleAnswer> {
    return this.#track(this.#settle(queue, settlements, thenClaim));
  }

  /** Ends those that wait. What is under way gets a moment: what it claims goes back. */
  async close(): Promise<void> {
    this.#closing = true;
    this.waiting.close();
    if (this.#underWay.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, longestCloseMs);
    });
    await Promise.race([Promise.allSettled(this.#underWay), tooLong]);
    clearTimeout(timer);
  }

  async #track<Result>(call: Promise<Result>): Promise<Result> {
    this.#underWay.add(call);
    try {
      return await call;
    } finally {
      this.#underWay.delete(call);
    }
  }

  async #claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    const { signal, waitMs } = options;
    const isOff = (): boolean => signal.aborted || this.#closing;
    let isOver = waitMs <= 0;
    // Listening comes first: what is announced after one has looked is then not missed.
    if (!isOver && !isOff()) await this.#listen(queue);
    const over = (): void => {
      isOver = true;
      this.waiting.wake(queue);
    };
    const cancelTimer = isOver || waitMs === Infinity ? undefined : this.#host.setTimer(over, waitMs);
    try {
      while (!isOff()) {
        const wakes = this.waiting.wakes(queue);
        const { jobs, nextInMs = Infinity } = await this.#look(queue, options, !isOver);
        if (jobs.length > 0) {
          // Whoever holds jobs wants to hear when they are taken away.
          if (!isOff()) await this.#listen(queue);
          if (!isOff()) return jobs;
          await this.#giveBack(queue, jobs);
          break;
        }
        if (isOver) break;
        const delayMs = Math.min(nextInMs, this.#pollIntervalMs);
        await this.waiting.wait(queue, wakes, delayMs, signal, this.#host.setTimer);
      }
      return [];
    } finally {
      cancelTimer?.();
    }
  }

  #listen(queue: string): Promise<void> {
    return this.#subscriber.listen(this.#scripts.channelOf(queue));
  }

  async #look(queue: string, options: ClaimOptions, waits: boolean): Promise<ClaimAnswer> {
    await this.#giveBackLost(queue);
    const first = await this.#lookOnce(queue, options, waits);
    const { jobs, nextInMs } = await this.#lookOn(queue, options, first, waits);
    return { jobs: await this.#withoutUnreadable(queue, jobs), nextInMs };
  }

  async #lookOnce(queue: string, options: ClaimOptions, waits: boolean): Promise<ClaimAnswer> {
    const call = this.#nextCall();
    // Whoever waits looks again before this is over.
    const notedMs = waits ? 2 * this.#pollIntervalMs + 1_000 : 0;
    const read = (answer: Answer): ClaimAnswer => this.#read(queue, options, answer[0], answer[1] as Answer);
    const onLate = (answer: Answer): void => ignoreRejection(this.#giveBack(queue, read(answer).jobs));
    const args = claimArguments(options, largestBatch, call, notedMs);
    return read(await this.#mayBeLost(queue, call, this.#scripts.call(claimScript, queue, args, onLate)));
  }

  /** A script takes no more jobs than a batch, and goes past no more of those that are held up by their keys. */
  async #lookOn(
    queue: string,
    options: ClaimOptions,
    first: ClaimAnswer,
    waits: boolean,
  ): Promise<ClaimAnswer> {
    const wanted = options.limit + options.prefetch;
    const jobs = [...first.jobs];
    let answer = first;
    const mayGoOn = (): boolean =>
      answer.jobs.length === largestBatch ? jobs.length < wanted : jobs.length === 0 && answer.nextInMs === 0;
    while (mayGoOn()) {
      const limit = Math.max(0, options.limit - jobs.length);
      const prefetch = wanted - jobs.length - limit;
      try {
        answer = await this.#lookOnce(queue, { ...options, limit, prefetch }, waits && jobs.length === 0);
      } catch {
        // What there is already would be held by nobody. Whoever looks next is told.
        break;
      }
      jobs.push(...answer.jobs);
    }
    return { jobs, nextInMs: answer.nextInMs };
  }

  async #settle(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim?: ClaimOptions,
  ): Promise<SettleAnswer> {
    const accepted: boolean[] = [];
    let pushedOut = 0;
    let claimed: readonly ClaimedJob[] = [];
    if (thenClaim !== undefined) await this.#listen(queue);
    const batches = Math.max(Math.ceil(settlements.length / largestBatch), thenClaim === undefined ? 0 : 1);
    for (let batch = 0; batch < batches; batch++) {
      const some =
        batches === 1 ? settlements : settlements.slice(batch * largestBatch, (batch + 1) * largestBatch);
      const claims = batch === batches - 1 ? thenClaim : undefined;
      const answer = await this.#settleBatch(queue, some, claims);
      accepted.push(...yesOrNo(answer[1]));
      pushedOut += Number(answer[2]);
      if (claims === undefined) continue;
      const first = this.#read(queue, claims, answer[0], answer[3] as Answer | null);
      claimed = (await this.#lookOn(queue, claims, first, false)).jobs;
    }
    return { accepted, pushedOut, claimed: await this.#withoutUnreadable(queue, claimed) };
  }

  async #settleBatch(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim: ClaimOptions | undefined,
  ): Promise<Answer> {
    const now = this.#scripts.time.now();
    const args: (string | Buffer)[] = [String(settlements.length)];
    for (const { job } of settlements) args.push(job.id);
    for (const { job } of settlements) args.push(job.token);
    for (const settlement of settlements) settlementArguments(args, settlement, now);
    if (thenClaim === undefined || this.#closing) return this.#scripts.call(settleScript, queue, args);
    const call = this.#nextCall();
    args.push(...claimArguments(thenClaim, largestBatch, call, 0));
    const onLate = (answer: Answer): void => {
      const { jobs } = this.#read(queue, thenClaim, answer[0], answer[3] as Answer);
      ignoreRejection(this.#giveBack(queue, jobs));
    };
    return this.#mayBeLost(queue, call, this.#scripts.call(settleScript, queue, args, onLate));
  }

  #nextCall(): string {
    return `${this.#name}${(++this.#calls).toString(36)}`;
  }

  #read(queue: string, { leaseMs }: ClaimOptions, now: unknown, answer: Answer | null): ClaimAnswer {
    if (answer === null) return { jobs: [], nextInMs: undefined };
    return claimAnswer({ queue, jobKeyStart: this.#scripts.jobKeyStart, leaseMs }, Number(now), answer);
  }

  /** Where the answer is lost, nobody knows what was claimed. */
  async #mayBeLost(queue: string, call: string, answer: Promise<Answer>): Promise<Answer> {
    try {
      return await answer;
    } catch (error) {
      const lost = this.#lostCalls.get(queue) ?? [];
      // One that came to nothing for a long time: what it had is somebody else's by now.
      this.#lostCalls.set(queue, [...lost.slice(-20), call]);
      throw error;
    }
  }

  async #giveBackLost(queue: string): Promise<void> {
    const lost = this.#lostCalls.get(queue);
    if (lost === undefined) return;
    await this.#scripts.call(giveBackScript, queue, lost);
    // Others may have been lost meanwhile.
    const rest = this.#lostCalls.get(queue)!.filter((call) => !lost.includes(call));
    if (rest.length > 0) this.#lostCalls.set(queue, rest);
    else this.#lostCalls.delete(queue);
  }

  async #giveBack(queue: string, jobs: readonly ClaimedJob[]): Promise<void> {
    if (jobs.length === 0) return;
    await this.#settle(
      queue,
      jobs.map((job) => ({ kind: 'released', job })),
    );
  }

  /** One that nobody can read is dead: it would come back for ever, and keep others from being claimed. */
  async #withoutUnreadable(queue: string, jobs: readonly ClaimedJob[]): Promise<readonly ClaimedJob[]> {
    if (!jobs.some(isUnreadable)) return jobs;
    const unreadable = jobs.filter(isUnreadable);
    const ids = unreadable.map(({ id }) => id).join(', ');
    const settlements = unreadable.map((job): Settlement => {
      const { failures, lastError: error = '' } = job;
      return { kind: 'dead', job, cause: 'invalid', failures, error, maxDead: mostUnreadable };
    });
    try {
      await this.#settle(queue, settlements);
      this.#host.warn(
        `Jobs of queue "${queue}" are dead, since what is stored of them cannot be read: ${ids}`,
      );
    } catch {
      // They come back when their leases end. The others would be held by nobody.
    }
    return jobs.filter((job) => !isUnreadable(job));
  }
}
