import { v7 as uuid } from 'uuid';
import type { Duration } from '../clock/index.js';
import { InvalidOptionError } from '../errors/index.js';
import { OptionReader } from '../execution/index.js';
import type { JobBackendCapabilities, NewJob } from './job-backend.js';

/** How one job is enqueued. */
export interface EnqueueOptions {
  /**
   * Of your own making: letters, digits and `.`, `_`, `:`, `-`, 200 of them at most. A job whose id is stored already
   * is not stored again. Default: a UUIDv7.
   */
  readonly id?: string | undefined;
  /** Which handler of the queue is to run it. Default: the one without a name. */
  readonly name?: string | undefined;
  /** It is due after so much time. Default 0. */
  readonly delay?: Duration | undefined;
  /** It is due at this time of day, by the backend's clock. Instead of `delay`. */
  readonly notBefore?: Date | undefined;
  /** A whole number from -100 to 100, higher first. Default 0. Only where the backend can. */
  readonly priority?: number | undefined;
  /**
   * While a job with that key lives, no other one is stored. `ttl`: the key is free again after so much time at the
   * latest. Default: when its job has ended.
   */
  readonly unique?: { readonly key: string; readonly ttl?: Duration | undefined } | undefined;
  /** Jobs with the same one share the limit `perKey` of the queue. */
  readonly limitKey?: string | undefined;
  /** Carried along, to be read by whoever runs it. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** How long it may take to be stored. Default: `enqueueTimeout` of the queue. */
  readonly timeout?: Duration | undefined;
  /**
   * A transaction of yours in the database that the jobs are in: the job is stored when it is committed, and not at all
   * where it is rolled back. Only where the backend can, which says what it takes. Default: none.
   */
  readonly transaction?: object | undefined;
}

/** What all jobs of one `enqueueMany()` have in common. */
export type EnqueueManyOptions = Omit<EnqueueOptions, 'id'>;

/** What became of a job that was enqueued. */
export interface EnqueuedJob {
  /** Of the job; where it is a duplicate, of the one that holds its unique key. */
  readonly id: string;
  /**
   * - `enqueued`: it is stored;
   * - `exists`: a job of that id was stored already, and is as it was;
   * - `duplicate`: another job holds its unique key; nothing was stored.
   */
  readonly status: 'enqueued' | 'exists' | 'duplicate';
}

/** Enqueue options, checked and complete. */
export interface ResolvedEnqueueOptions extends Omit<NewJob, 'queue' | 'payload'> {
  /** `undefined`: as long as the queue says. */
  readonly timeoutMs: number | undefined;
}

const optionNames: readonly (keyof EnqueueOptions)[] = [
  'id',
  'name',
  'delay',
  'notBefore',
  'priority',
  'unique',
  'limitKey',
  'headers',
  'timeout',
  'transaction',
];

const atOnce: NewJob['due'] = Object.freeze({ inMs: 0 });
const safeId = /^[\w.:-]{1,200}$/;
const highestPriority = 100;
const longestKey = 1_000;
/** Beyond that, numbers are no longer exact. */
const longestMs = Number.MAX_SAFE_INTEGER;
/** Half of what a Date holds, some 137 000 years: whatever the time is, a Date holds the due time. */
const longestDelayMs = 4.32e15;
/** Half of a character: no backend can keep it as it is. */
const halfCharacter = /\p{Surrogate}/u;

/** Checks what `enqueue()` of `queue` was given, and completes it. Throws `InvalidOptionError`. */
export function resolveEnqueueOptions(
  queue: string,
  options: EnqueueOptions | undefined,
  capabilities: JobBackendCapabilities,
): ResolvedEnqueueOptions {
  if (options === undefined) return { id: uuid(), name: '', due: atOnce, priority: 0, timeoutMs: undefined };
  const owner = `a job of queue "${queue}"`;
  const reader = new OptionReader(owner, options, optionNames);
  return {
    id: readId(reader) ?? uuid(),
    name: readText(reader, 'name', 'It says which handler of the queue runs the job.') ?? '',
    due: readDue(reader),
    priority: readPriority(reader, capabilities),
    unique: readUnique(owner, reader),
    limitKey: readText(reader, 'limitKey', 'Jobs with the same one share a limit.'),
    headers: readHeaders(reader),
    timeoutMs: reader.duration('timeout', undefined, { min: 1 }),
    transaction: readTransaction(reader, capabilities),
  };
}

/** Checks what `enqueueMany()` of `queue` was given, but for single jobs. Throws `InvalidOptionError`. */
export function checkEnqueueMany(queue: string, payloads: unknown, options: unknown): void {
  const owner = `enqueueMany() of job queue "${queue}"`;
  const source = Object(payloads) as Partial<Iterable<unknown> & AsyncIterable<unknown>>;
  if (typeof source[Symbol.iterator] !== 'function' && typeof source[Symbol.asyncIterator] !== 'function') {
    throw new InvalidOptionError({
      owner,
      option: 'payloads',
      given: payloads,
      accepted: 'what can be gone through: an array, a generator, a stream',
      cure: 'For one job there is enqueue().',
    });
  }
  if (options === undefined || typeof options === 'function') return;
  const reader = new OptionReader(owner, options as object, optionNames);
  if (reader.get('id') === undefined) return;
  reader.refuse(
    'id',
    'nothing, since all jobs would have it',
    'Give a function of payload and index that answers the options of each job.',
  );
}

function readId(reader: OptionReader): string | undefined {
  const id = reader.get('id');
  if (id === undefined || (typeof id === 'string' && safeId.test(id))) return id;
  return reader.refuse(
    'id',
    '1 to 200 letters (a-z, A-Z), digits and . _ : -',
    'Leave it out, or make it of these, such as `order:${order.id}`.',
  );
}

function readText(reader: OptionReader, option: string, why: string): string | undefined {
  const text = reader.get(option);
  if (text === undefined || isKey(text)) return text;
  return reader.refuse(option, keyForm, why);
}

function readDue(reader: OptionReader): NewJob['due'] {
  const notBefore = reader.get('notBefore');
  if (notBefore === undefined) {
    const inMs = reader.duration('delay', 0);
    if (inMs > longestDelayMs) {
      reader.refuse(
        'delay',
        `${longestDelayMs} ms or less`,
        'A Date can hold no later time: give a shorter one.',
      );
    }
    return inMs === 0 ? atOnce : { inMs };
  }
  if (!(notBefore instanceof Date) || Number.isNaN(notBefore.getTime())) {
    return reader.refuse('notBefore', 'a valid Date', 'For a length of time there is the option delay.');
  }
  if (reader.get('delay') !== undefined) {
    reader.refuse('delay', 'nothing beside notBefore', 'Give the one or the other.');
  }
  return { at: notBefore.getTime() };
}

function readPriority(reader: OptionReader, { name, priority: ranks }: JobBackendCapabilities): number {
  const priority = reader.get('priority') ?? 0;
  if (typeof priority !== 'number' || !Number.isInteger(priority) || Math.abs(priority) > highestPriority) {
    return reader.refuse(
      'priority',
      `a whole number from -${highestPriority} to ${highestPriority}`,
      'Higher runs first.',
    );
  }
  if (priority === 0 || ranks) return priority;
  return reader.refuse(
    'priority',
    `nothing, since the backend "${name}" has no priorities, as it is set`,
    'Use a queue of its own for what is urgent. (On BullMqJobBackend, priorities: true has them count.)',
  );
}

function readTransaction(
  reader: OptionReader,
  { name, transactions = false }: JobBackendCapabilities,
): NewJob['transaction'] {
  const given = reader.get('transaction');
  if (given === undefined) return undefined;
  if (!transactions) {
    return reader.refuse(
      'transaction',
      `nothing, since the backend "${name}" takes part in no transaction of others`,
      'Write down in the transaction what is to be enqueued, and enqueue it when it is committed.',
    );
  }
  if (typeof given === 'object' && given !== null) return given;
  return reader.refuse(
    'transaction',
    'an object that the backend knows',
    'Give the client of the transaction.',
  );
}

function readUnique(owner: string, reader: OptionReader): NewJob['unique'] {
  const given = reader.get('unique');
  if (given === undefined) return undefined;
  if (typeof given !== 'object' || given === null) {
    return reader.refuse('unique', '{ key, ttl? }', "Write for example { key: 'welcome:42', ttl: '1h' }.");
  }
  const inner = new OptionReader(owner, given, ['key', 'ttl'], 'unique.');
  const key = inner.get('key');
  if (!isKey(key)) return inner.refuse('key', keyForm, 'It names what there is to be one of.');
  const ttlMs = inner.duration('ttl', undefined, { min: 1 });
  if (ttlMs !== undefined && ttlMs > longestMs) {
    inner.refuse(
      'ttl',
      `${longestMs} ms or less`,
      'Leave it out: the key is then held until the job has ended.',
    );
  }
  return { key, ttlMs };
}

function readHeaders(reader: OptionReader): NewJob['headers'] {
  const given = reader.get('headers');
  if (given === undefined) return undefined;
  const fits =
    typeof given === 'object' &&
    given !== null &&
    !Array.isArray(given) &&
    Object.entries(given).every(([name, value]) => isText(name) && isText(value));
  if (fits) return given as Record<string, string>;
  return reader.refuse(
    'headers',
    'an object of texts without halves of characters (lone surrogates)',
    'Turn each value into a text; data belong in the payload.',
  );
}

const keyForm = `a text of 1 to ${longestKey} characters, without halves of any (lone surrogates)`;

const isText = (value: unknown): value is string => typeof value === 'string' && !halfCharacter.test(value);

function isKey(value: unknown): value is string {
  return isText(value) && value !== '' && value.length <= longestKey;
}
