import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { ClaimedJob, ClaimOptions } from '../../lib/jobs/index.js';
import { atLeast, atMost, same } from './job-backend-model-checks.js';
import { claimableFrom, hasPlace, type ModelJob, nowhere } from './job-backend-model-job.js';
import type { ClaimCourse, ModelOptions } from './job-backend-model-options.js';
import { isBefore, type Turn } from './job-backend-model-order.js';
import { hasCome, type Moment, type Span } from './job-backend-model-time.js';

/** A job that can be claimed, or may be. */
interface Claimable {
  readonly job: ModelJob;
  readonly turn: Turn;
  readonly isSure: boolean;
}

/** What a claim gets, and what it goes past, since there is no place for it. */
interface Claimed {
  readonly taken: readonly ModelJob[];
  readonly passed: readonly ModelJob[];
}

/** Which jobs it is the turn of: exactly where that is determined, and what may be where it is not. */
export class ModelQueue {
  readonly #jobs: ReadonlyMap<string, ModelJob>;
  readonly #options: ModelOptions;
  readonly #slackMs: number;

  constructor(jobs: ReadonlyMap<string, ModelJob>, options: ModelOptions) {
    this.#jobs = jobs;
    this.#options = options;
    this.#slackMs = options.slackMs ?? 0;
  }

  /** What can be claimed, and whether for sure. */
  claimable(moment: Moment): readonly Claimable[] {
    return [...this.#jobs.values()].flatMap((job) => {
      const isDue = job.ended === undefined ? hasCome(claimableFrom(job), moment, this.#slackMs) : 'no';
      return isDue === 'no' ? [] : [{ job, turn: this.#turnOf(job), isSure: isDue === 'yes' }];
    });
  }

  /** What a claim is to get for sure, and what it is to go past. */
  expected({ limit, prefetch, limits }: ClaimOptions, moment: Moment): Claimed {
    const held = this.#held(moment, 'maybe');
    const room = Math.min(limit + prefetch, (limits?.concurrency ?? Infinity) - held.length);
    const taken: ModelJob[] = [];
    const passed: ModelJob[] = [];
    let left = this.claimable(moment).filter(({ isSure }) => isSure);
    while (taken.length < room && left.length > 0) {
      const next = left.find((one) => !left.some((other) => this.#isBefore(other, one)))!;
      left = left.filter((one) => one !== next);
      const isHeldUp = !hasPlace(next.job, limits, [...held, ...taken]);
      (isHeldUp ? passed : taken).push(next.job);
    }
    return { taken, passed };
  }

  /** What was claimed, and what the claim went past. Fails where it was to get something else. */
  judged(
    jobs: readonly ClaimedJob[],
    { limit, prefetch, limits }: ClaimOptions,
    moment: Moment,
    { order, isComplete, isLast, late }: ClaimCourse,
  ): Claimed {
    // Whatever was claimed at the same time, or later, was not held yet.
    const first = order === 'none' ? Math.min(...jobs.map(({ claimedAt }) => claimedAt)) : Infinity;
    const held = this.#held(moment, 'yes').filter(({ lease }) => lease!.claimedAt < first);
    const mayBeHeld = this.#held(moment, 'maybe');
    const most = limits?.concurrency ?? Infinity;
    atMost(jobs.length, Math.max(0, Math.min(limit + prefetch, most - held.length)), 'how many are claimed');
    const taken: Claimable[] = [];
    const takenJobs = (): ModelJob[] => taken.map(({ job }) => job);
    const passed = new Set<ModelJob>();
    let left = this.claimable(moment);
    const isHeldUp = ({ job }: Claimable): boolean => {
      const others = mayBeHeld.filter((other) => other !== job);
      const isUp = !hasPlace(job, limits, [...others, ...takenJobs()]);
      if (isUp) passed.add(job);
      return isUp;
    };
    const checkTurn = (one: Claimable): void => {
      const sooner = left.filter(
        (other) => other.isSure && !late.has(other.job.id) && this.#isBefore(other, one) && !isHeldUp(other),
      );
      same(
        sooner.map(({ job }) => job.id),
        [],
        `what was to be claimed before ${one.job.id}`,
      );
    };
    for (const { id } of jobs) {
      const one = left.find(({ job }) => job.id === id);
      if (one === undefined) assert.fail(`${id} is claimed, which is not to be had`);
      left = left.filter((other) => other !== one);
      if (order === 'told') checkTurn(one);
      same(hasPlace(one.job, limits, [...held, ...takenJobs()]), true, `whether there is a place for ${id}`);
      taken.push(one);
    }
    if (order === 'any') taken.forEach(checkTurn);
    if (isComplete && taken.length < Math.min(limit + prefetch, most - mayBeHeld.length)) {
      const isToBeSeen = ({ job }: Claimable): boolean =>
        job.lease === undefined || this.#options.lostTurn !== 'some-time' || (isLast && taken.length === 0);
      const more = left.filter((other) => !isHeldUp(other) && other.isSure && isToBeSeen(other));
      const what = `what was to be claimed, beside ${inspect(jobs.map(({ id }) => id))},`;
      same(
        more.map(({ job }) => job.id),
        [],
        what,
      );
    }
    for (const job of takenJobs()) passed.delete(job);
    return { taken: takenJobs(), passed: [...passed] };
  }

  /** Whether limits leave a place for a job that is not held. */
  hasRoom(job: ModelJob, limits: ClaimOptions['limits'], moment: Moment): boolean {
    const held = this.#held(moment, 'yes');
    return held.length < (limits?.concurrency ?? Infinity) && hasPlace(job, limits, held);
  }

  checkOldest(ageMs: number, moment: Moment): void {
    const ready = this.claimable(moment);
    const ages = ready.map((one) => {
      const since = this.dueSince(one.job);
      const least = Math.max(0, moment.from - since.to - this.#slackMs);
      return { ...one, least, most: Math.max(0, moment.at - since.from + this.#slackMs) };
    });
    if (this.#options.order === 'due') {
      const sure = ages.filter(({ isSure }) => isSure).map(({ least }) => least);
      atLeast(ageMs, Math.max(0, ...sure), 'the age of the oldest');
      atMost(ageMs, Math.max(0, ...ages.map(({ most }) => most)), 'the age of the oldest');
      return;
    }
    // Those that no claim has seen yet may be looked at apart from the others.
    const isSeen = ({ job: { lease, place } }: Claimable): boolean =>
      lease === undefined && place?.arrival.to !== Infinity;
    const heads = ages.filter(
      (one) => !isSeen(one) || !ages.some((other) => isSeen(other) && this.#isBefore(other, one)),
    );
    const isAge = heads.some(({ least, most }) => least <= ageMs && ageMs <= most);
    const isNone = ageMs === 0 && !ready.some(({ isSure }) => isSure);
    same(isAge || isNone, true, `whether ${ageMs} ms is the age of the head of the queue`);
  }

  /** Since when a job counts as due, whether its lease is over or not. */
  dueSince({ lease, dueAt }: ModelJob): Span {
    return lease !== undefined && this.#options.lostTurn === 'lease-end' ? lease.endsAt : dueAt;
  }

  #turnOf(job: ModelJob): Turn {
    const { id, given, lease, place = nowhere } = job;
    const isFirst = this.#options.lostTurn === 'first' ? true : undefined;
    return {
      id,
      priority: given.priority,
      due: this.dueSince(job),
      place: lease === undefined ? place : { ...place, isFirst },
    };
  }

  #isBefore(one: Claimable, other: Claimable): boolean {
    return one !== other && isBefore(one.turn, other.turn, this.#options);
  }

  /** Those that are held for sure, or may be. */
  #held(moment: Moment, how: 'yes' | 'maybe'): readonly ModelJob[] {
    return [...this.#jobs.values()].filter(({ lease }) => {
      const isOver = lease === undefined ? 'yes' : hasCome(lease.endsAt, moment, this.#slackMs);
      return isOver === 'no' || (how === 'maybe' && isOver === 'maybe');
    });
  }
}
