import type { IQueueBackend, JobJson } from 'bullmq';
import { InvalidOptionError } from '../../errors/index.js';
import type { EnqueueAnswer, NewJob } from '../../jobs/index.js';
import type { BullMqContext } from './bullmq-context.js';
import type { StoringCalls } from './bullmq-store.js';
import {
  isPast,
  type OwnOptions,
  ownField,
  toBullPriority,
  toStoredName,
  wrapOptions,
} from './job-record.js';
import { jsonOf } from './json-bytes.js';
import { fromStoredId, toStoredId } from './stored-id.js';
import { toDeduplicationId } from './unique-key.js';

/** Jobs that are added in one call. */
const largestBatch = 1_000;

type Entry = Parameters<IQueueBackend['addJobs']>[0][number];

/** Stores new jobs. */
export class JobEnqueueing {
  readonly #context: BullMqContext;
  #enqueued = 0;

  constructor(context: BullMqContext) {
    this.#context = context;
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly EnqueueAnswer[]> {
    const now = Date.now();
    // All of them first: one that cannot be stored is to hinder the others from being stored, too.
    const entries = jobs.map((job) => this.#entryOf(job, now));
    const answers = Array.from<EnqueueAnswer>({ length: jobs.length });
    for (const { queue, transaction, indexes } of groupsOf(jobs)) {
      for (let from = 0; from < indexes.length; from += largestBatch) {
        const some = indexes.slice(from, from + largestBatch);
        const added = await this.#addWithin(
          transaction,
          queue,
          some.map((index) => entries[index]!),
        );
        some.forEach((index, place) => (answers[index] = answerFor(jobs[index]!.id, added[place]!)));
      }
    }
    return answers;
  }

  async #addWithin(
    transaction: object | undefined,
    queue: string,
    entries: readonly NewEntry[],
  ): Promise<readonly Added[]> {
    const { store } = this.#context;
    if (transaction === undefined) return this.#add(queue, entries);
    if (store.within === undefined) throw new TypeError('BullMQ on Redis takes part in no transaction');
    return store.within(transaction, queue, (storing) => addAll(storing, entries));
  }

  async #add(queue: string, entries: readonly NewEntry[]): Promise<readonly Added[]> {
    const { store } = this.#context;
    const readEnqueuers: StoringCalls['readEnqueuers'] = (ids) => store.readEnqueuers(queue, ids);
    const freeKey: StoringCalls['freeKey'] =
      store.freeKey && ((key, id) => store.freeKey!(queue, key, id, Date.now()));
    const added = await addAll({ calls: store.calls(queue), readEnqueuers, freeKey }, entries);
    const own = entries.map(({ job }) => job.id);
    const past = await this.#removePast(
      queue,
      added.filter((one, index) => !one.isNew && one.id === own[index]),
    );
    if (past.size === 0) return added;
    const again = entries.filter(({ job }) => past.has(job.id));
    const second = await this.#add(queue, again);
    return added.map((one, index) => second[again.indexOf(entries[index]!)] ?? one);
  }

  /** Removes those that have ended and are not kept any longer. */
  async #removePast(queue: string, jobs: readonly Added[]): Promise<ReadonlySet<string>> {
    if (jobs.length === 0) return new Set();
    const { store } = this.#context;
    const records = await store.read(
      queue,
      jobs.map(({ id }) => id),
    );
    const now = Date.now();
    const past = records
      .filter((record) => record !== undefined && isPast(record, now))
      .map((record) => record!.id);
    await Promise.all(past.map((id) => store.calls(queue).remove(id, false)));
    return new Set(past);
  }

  #entryOf(job: NewJob, now: number): NewEntry {
    const { store, priorities } = this.#context;
    const { payload, headers, limitKey, unique } = job;
    const dueAt = 'at' in job.due ? job.due.at : now + job.due.inMs;
    if (dueAt > store.latest) throw tooLate(job, dueAt, store.latest);
    const delay = Math.max(0, Math.ceil(dueAt - now));
    const by = `${this.#context.newLock()}.${(this.#enqueued++).toString(36)}`;
    const own: OwnOptions & { readonly by: string } = {
      by,
      ...(headers !== undefined && { headers }),
      ...(limitKey !== undefined && { limitKey }),
      ...(unique?.ttlMs !== undefined && { keyTtlMs: unique.ttlMs }),
      ...(payload === undefined && { empty: true as const }),
      ...(dueAt < now && { dueAt }),
    };
    const deduplication = unique && {
      id: toDeduplicationId(unique.key),
      ...(unique.ttlMs !== undefined && { ttl: Math.max(1, Math.ceil(unique.ttlMs)) }),
    };
    const priority = priorities ? toBullPriority(job.priority) : 0;
    const opts = {
      ...(delay > 0 && { delay }),
      ...(priority > 0 && { priority }),
      ...(deduplication && { deduplication }),
      [ownField]: wrapOptions(own, (text) => store.keepsText(text)),
    };
    const json: JobJson = {
      id: toStoredId(job.id),
      name: toStoredName(job.name),
      data: payload === undefined ? '{}' : jsonOf(payload, (text) => store.keepsText(text)),
      opts,
      progress: 0,
      attemptsMade: 0,
      attemptsStarted: 0,
      stalledCounter: 0,
      timestamp: now,
      delay,
      priority,
      failedReason: '',
      returnvalue: '',
      ...(deduplication && { deduplicationId: deduplication.id }),
    };
    return { job: json, by };
  }
}

interface NewEntry {
  readonly job: JobJson;
  /** Said of nothing else that was ever enqueued. */
  readonly by: string;
}

interface Added {
  readonly id: string;
  readonly isNew: boolean;
}

/** Of each, the id of the job that is stored, and whether it is that very one. */
async function addAll(storing: StoringCalls, entries: readonly NewEntry[]): Promise<readonly Added[]> {
  const { calls, readEnqueuers, freeKey } = storing;
  const [entry] = entries;
  const ids =
    entries.length === 1
      ? [await calls.addJob(entry!.job, entry!.job.id)]
      : await calls.addJobs(entries.map(({ job }): Entry => ({ job, jobId: job.id })));
  // BullMQ answers the same for a job that was there before: who enqueued it says which it was.
  const enqueuers = await readEnqueuers(entries.map(({ job }) => job.id));
  const added = entries.map(({ job, by }, index): Added => {
    const id = ids[index]!;
    const enqueuer = enqueuers[index];
    // Where it is gone already, it was run meanwhile.
    if (id === job.id) return { id, isNew: enqueuer === by || enqueuer === undefined };
    // On PostgreSQL BullMQ looks at keys before ids: an id that was there before comes first for us.
    const wasThere = enqueuer !== undefined && !entries.some((one) => one.by === enqueuer);
    return { id: wasThere ? job.id : id, isNew: false };
  });
  if (freeKey === undefined || !entries.some(({ job }) => job.deduplicationId !== undefined)) return added;
  // It has given such a one the key, and, with that, held others up.
  const freed = new Set<string>();
  for (const [index, { job }] of entries.entries()) {
    const { id, deduplicationId: key } = job;
    const wasThere = ids[index] === id && !added[index]!.isNew;
    if (wasThere && key !== undefined && (await freeKey(key, id))) freed.add(`${id} ${key}`);
  }
  const again = entries.filter(({ job }, index) => {
    const { id } = added[index]!;
    return id !== job.id && freed.has(`${id} ${job.deduplicationId}`);
  });
  if (again.length === 0) return added;
  const second = await addAll(storing, again);
  return added.map((one, index) => second[again.indexOf(entries[index]!)] ?? one);
}

interface Group {
  readonly queue: string;
  readonly transaction: object | undefined;
  readonly indexes: number[];
}

/** Those that go together, in order. */
function groupsOf(jobs: readonly NewJob[]): readonly Group[] {
  const groups: Group[] = [];
  for (const [index, { queue, transaction }] of jobs.entries()) {
    let group = groups.find((one) => one.queue === queue && one.transaction === transaction);
    if (group === undefined) {
      group = { queue, transaction, indexes: [] };
      groups.push(group);
    }
    group.indexes.push(index);
  }
  return groups;
}

function answerFor(id: string, added: Added): EnqueueAnswer {
  if (added.isNew) return { kind: 'enqueued', id };
  if (added.id === toStoredId(id)) return { kind: 'exists', id };
  return { kind: 'duplicate', id: fromStoredId(added.id) };
}

function tooLate({ id }: NewJob, dueAt: number, latest: number): InvalidOptionError {
  return new InvalidOptionError({
    owner: `job ${id}`,
    option: 'due',
    given: new Date(dueAt).toISOString(),
    accepted: `nothing after ${new Date(latest).toISOString()}, which is as far as BullMQ counts on Redis`,
    cure: 'Give a point in time before that, and put it off again when it comes.',
  });
}
