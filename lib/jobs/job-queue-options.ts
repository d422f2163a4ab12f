import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type Duration, formatDuration } from '../clock/index.js';
import { OptionReader } from '../execution/index.js';
import type { ConsumerOptions } from './consumer-options.js';
import type { ClaimLimits, JobBackendCapabilities } from './job-backend.js';
import { type JobMiddlewareReference, readJobMiddlewares } from './job-middleware.js';
import { codecOf, type PayloadCodec, type PayloadFormat, payloadFormats } from './payload-codec.js';
import { readSchema } from './payload-schema.js';

/** Limits over all processes that share a backend. What waits for one holds neither a lease nor a slot. */
export interface JobLimits {
  /** Jobs of the queue that may run at once. */
  readonly concurrency?: number | undefined;
  /** Jobs with the same `limitKey` that may run at once. */
  readonly perKey?: number | undefined;
  /** `limit` jobs per `period`, spread over it; after a pause as many as `limit` at once. */
  readonly rate?: { readonly limit: number; readonly period: Duration } | undefined;
}

/** Options of one job queue in this process. All processes that share it should give the same. */
export interface JobQueueOptions {
  /** Stable name, shared by all processes; used in logs, metrics and to inject it. */
  readonly name: string;
  /**
   * How payloads become bytes: by name, or by a codec of your own. Default: what the backend says is its own
   * (`capabilities.format`), else `'msgpack'`.
   */
  readonly format?: PayloadFormat | PayloadCodec | undefined;
  /** How many of its jobs run at a time in this process. May be given to one of its handlers instead. Default 10. */
  readonly concurrency?: number | undefined;
  /** Over all processes. Default: none. */
  readonly limits?: JobLimits | undefined;
  /**
   * For how long a job is held without a word; it is renewed while the job runs. What a process held that died is run
   * again after so long. 1 s or more. Default `'30s'`.
   */
  readonly lease?: Duration | undefined;
  /** How long the event loop may be blocked before the jobs are given back all the same. Default `'2m'`, or `lease`. */
  readonly blockedLimit?: Duration | undefined;
  /**
   * A job that was running when its process died so many times is not run again. Of those that one death more would
   * bring there, one runs at a time in a process, so that a job that kills its process takes none of them along.
   * `Infinity` is allowed. With 1 there is no telling a bystander from the cause. Default 3.
   */
  readonly quarantineAfter?: number | undefined;
  /** How long `enqueue()` may take before it rejects with `EnqueueError`. Default `'5s'`. */
  readonly enqueueTimeout?: Duration | undefined;
  /** How long any other call to the backend may take. Default `'10s'`. */
  readonly callTimeout?: Duration | undefined;
  /** Down, for health, once jobs have waited for so long while slots were free. `Infinity`: never. Default `'60s'`. */
  readonly notConsumingAfter?: Duration | undefined;
  /** False: no job runs but by `runOnce()`. Default `true`. */
  readonly autoStart?: boolean | undefined;
  /** Around its jobs, when they are enqueued and when they are handled, the first one outermost. */
  readonly middlewares?: readonly JobMiddlewareReference[] | undefined;
  /** What its payloads are, unless a handler says otherwise of its own. Default: anything. */
  readonly schema?: StandardSchemaV1 | undefined;
}

/** Queue options, checked and complete. */
export interface ResolvedJobQueueOptions {
  readonly name: string;
  readonly consumer: Omit<ConsumerOptions, 'concurrency'>;
  /** `undefined`: nothing was said. */
  readonly concurrency: number | undefined;
  readonly enqueueTimeoutMs: number;
  readonly middlewares: readonly JobMiddlewareReference[];
  readonly schema: StandardSchemaV1 | undefined;
}

export const defaultConcurrency = 10;

export const jobQueueOptionNames: readonly (keyof JobQueueOptions)[] = [
  'name',
  'format',
  'concurrency',
  'limits',
  'lease',
  'blockedLimit',
  'quarantineAfter',
  'enqueueTimeout',
  'callTimeout',
  'notConsumingAfter',
  'autoStart',
  'middlewares',
  'schema',
];

/** Checks the options of a queue against what the backend can, and completes them. Throws `InvalidOptionError`. */
export function resolveJobQueueOptions(
  options: JobQueueOptions,
  capabilities: JobBackendCapabilities,
): ResolvedJobQueueOptions {
  const name: unknown = (options as JobQueueOptions | null)?.name;
  const owner = `job queue "${String(name)}"`;
  const reader = new OptionReader(owner, options, jobQueueOptionNames);
  if (typeof name !== 'string' || name.trim() === '') {
    return reader.refuse('name', 'a text that is not empty', "Name the queue, as in { name: 'emails' }.");
  }
  const leaseMs = reader.duration('lease', 30_000, { min: 1_000 });
  return {
    name,
    consumer: {
      queue: name,
      codec: readCodec(reader, capabilities),
      limits: readLimits(owner, reader, capabilities),
      leaseMs,
      blockedLimitMs: readBlockedLimit(reader, leaseMs),
      quarantineAfter: reader.count('quarantineAfter', 3, { min: 1, infinite: true }),
      callTimeoutMs: reader.duration('callTimeout', 10_000, { min: 1 }),
      notConsumingAfterMs: reader.duration('notConsumingAfter', 60_000, { min: 1, infinite: true }),
      autoStart: reader.flag('autoStart', true),
    },
    concurrency: readConcurrency(reader),
    enqueueTimeoutMs: reader.duration('enqueueTimeout', 5_000, { min: 1 }),
    middlewares: readJobMiddlewares(reader),
    schema: readSchema(reader),
  };
}

/** Reads the option `concurrency` of a queue or a handler; `undefined` where nothing is said. */
export function readConcurrency(reader: OptionReader): number | undefined {
  return reader.get('concurrency') === undefined ? undefined : reader.count('concurrency', 0, { min: 1 });
}

function readCodec(reader: OptionReader, { format = 'msgpack' }: JobBackendCapabilities): PayloadCodec {
  const said = reader.get('format');
  const given = said === undefined ? format : said;
  const names = payloadFormats.map((name) => `'${name}'`).join(', ');
  return (
    codecOf(given) ??
    reader.refuse('format', `${names}, or a codec with encode(value) and decode(bytes)`, 'Give one of these.')
  );
}

function readBlockedLimit(reader: OptionReader, leaseMs: number): number {
  const blockedLimitMs = reader.duration('blockedLimit', Math.max(120_000, leaseMs));
  if (blockedLimitMs >= leaseMs) return blockedLimitMs;
  return reader.refuse(
    'blockedLimit',
    `at least the lease, which is ${formatDuration(leaseMs)}`,
    'The jobs are held for that long anyway: raise it, or shorten the lease.',
  );
}

function readLimits(
  owner: string,
  reader: OptionReader,
  { name, limits: can }: JobBackendCapabilities,
): ClaimLimits {
  const given = reader.get('limits');
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null) {
    return reader.refuse('limits', '{ concurrency?, perKey?, rate? }', 'Give one or more of these.');
  }
  const inner = new OptionReader(owner, given, ['concurrency', 'perKey', 'rate'], 'limits.');
  for (const limit of ['concurrency', 'perKey', 'rate'] as const) {
    if (inner.get(limit) === undefined || can[limit]) continue;
    inner.refuse(
      limit,
      `nothing, since the backend "${name}" cannot enforce it over all processes`,
      'Remove it, or use a backend that can.',
    );
  }
  const limits = {
    ...readLimit(inner, 'concurrency'),
    ...readLimit(inner, 'perKey'),
    ...readRate(owner, inner),
  };
  if (limits.perKey !== undefined && limits.concurrency !== undefined && limits.perKey > limits.concurrency) {
    inner.refuse(
      'perKey',
      `at most limits.concurrency, which is ${limits.concurrency}`,
      'It could never be reached: lower it, or remove it.',
    );
  }
  return limits;
}

function readLimit(reader: OptionReader, name: 'concurrency' | 'perKey'): ClaimLimits {
  return reader.get(name) === undefined ? {} : { [name]: reader.count(name, 0, { min: 1 }) };
}

function readRate(owner: string, reader: OptionReader): ClaimLimits {
  const given = reader.get('rate');
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null) {
    return reader.refuse('rate', '{ limit, period }', "Write for example { limit: 100, period: '1s' }.");
  }
  const inner = new OptionReader(owner, given, ['limit', 'period'], 'limits.rate.');
  if (inner.get('limit') === undefined || inner.get('period') === undefined) {
    return reader.refuse(
      'rate',
      '{ limit, period }, both of them',
      "Write for example { limit: 100, period: '1s' }.",
    );
  }
  return {
    rate: { limit: inner.count('limit', 0, { min: 1 }), periodMs: inner.duration('period', 0, { min: 1 }) },
  };
}
