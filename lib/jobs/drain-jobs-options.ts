import { type Clock, type Duration, systemClock } from '../clock/index.js';
import { InvalidOptionError } from '../errors/index.js';
import { OptionReader } from '../execution/index.js';
import type { DrainedQueue } from './drain-jobs-tally.js';
import { isJobBackend } from './drain-jobs-backend.js';
import type { JobBackend } from './job-backend.js';
import { codecOf, type PayloadCodec, type PayloadFormat, payloadFormats } from './payload-codec.js';

/** What is moved from where to where, and how. */
export interface DrainJobsOptions {
  /** Where the jobs are. Opened and closed here: give a backend of its own, not the one of an app that runs. */
  readonly from: JobBackend;
  /** Where they are to be: the backend that the app uses by now. Opened and closed here, too. */
  readonly to: JobBackend;
  readonly queues: readonly string[];
  /** The `format` that the queues have at the source. Default: that of the backend, else `'msgpack'`. */
  readonly fromFormat?: PayloadFormat | PayloadCodec | undefined;
  /** The `format` that the queues have at the target. Default: that of the backend, else `'msgpack'`. */
  readonly toFormat?: PayloadFormat | PayloadCodec | undefined;
  /** Dead jobs, too: they are due at once there, with all their attempts before them. Default `false`: they stay. */
  readonly dead?: boolean | undefined;
  /**
   * Jobs, too, whose unique key another job holds at the target: they are stored there without the key. Default `false`:
   * they stay, also those whose `ttl` was over at the source, where more than one of them may wait.
   */
  readonly duplicates?: boolean | undefined;
  /** For how long to wait for jobs that are still being run at the source. `Infinity` is allowed. Default `'30s'`. */
  readonly wait?: Duration | undefined;
  /**
   * Pauses, stores and deletes nothing, and tells what would become of the jobs that wait now. It does not see which unique
   * keys are held at the target, nor what the target refuses. Default `false`.
   */
  readonly dryRun?: boolean | undefined;
  /** Jobs per call. So many payloads are in memory, twice. Default 100. */
  readonly pageSize?: number | undefined;
  /** Ends it between two pages; it then rejects with the reason. Run it again to go on. */
  readonly signal?: AbortSignal | undefined;
  /** Is told how a queue stands, after each page and while it waits. */
  readonly onProgress?: ((queue: DrainedQueue) => void) | undefined;
  /** What a backend has to say to the person who runs this. Default: a warning of the process. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** By what it waits. Default: the time of this machine. */
  readonly clock?: Clock | undefined;
}

/** The options, checked and complete. */
export interface DrainPlan {
  readonly from: JobBackend;
  readonly to: JobBackend;
  readonly queues: readonly string[];
  readonly fromCodec: PayloadCodec;
  readonly toCodec: PayloadCodec;
  readonly dead: boolean;
  readonly duplicates: boolean;
  readonly waitMs: number;
  readonly dryRun: boolean;
  readonly pageSize: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (queue: DrainedQueue) => void;
  readonly onWarning: (message: string) => void;
  readonly clock: Clock;
}

export const drainOwner = 'drainJobs()';

const optionNames: readonly (keyof DrainJobsOptions)[] = [
  'from',
  'to',
  'queues',
  'fromFormat',
  'toFormat',
  'dead',
  'duplicates',
  'wait',
  'dryRun',
  'pageSize',
  'signal',
  'onProgress',
  'onWarning',
  'clock',
];

/** Checks what `drainJobs()` was given, and completes it. Throws `InvalidOptionError`. */
export function resolveDrainOptions(options: DrainJobsOptions): DrainPlan {
  const reader = new OptionReader(drainOwner, options, optionNames);
  const from = readBackend(reader, 'from');
  const to = readBackend(reader, 'to');
  if (from === to) {
    throw refusedTarget(to, 'another backend than "from"', 'Its jobs are there already.');
  }
  return {
    from,
    to,
    queues: readQueues(reader),
    fromCodec: readCodec(reader, 'fromFormat', from),
    toCodec: readCodec(reader, 'toFormat', to),
    dead: reader.flag('dead', false),
    duplicates: reader.flag('duplicates', false),
    waitMs: reader.duration('wait', 30_000, { infinite: true }),
    dryRun: reader.flag('dryRun', false),
    pageSize: reader.count('pageSize', 100, { min: 1 }),
    signal: checkShape(reader, 'signal', options.signal, signalMethods, 'an AbortSignal'),
    onProgress: checkFunction(reader, 'onProgress', options.onProgress) ?? (() => {}),
    onWarning:
      checkFunction(reader, 'onWarning', options.onWarning) ?? ((message) => process.emitWarning(message)),
    clock: checkShape(reader, 'clock', options.clock, clockMethods, 'a Clock') ?? systemClock,
  };
}

/** Says what a backend is by its name only: all that it has may hold a password. */
export function refusedTarget(
  { capabilities }: JobBackend,
  accepted: string,
  cure: string,
): InvalidOptionError {
  return new InvalidOptionError({
    owner: drainOwner,
    option: 'to',
    given: capabilities.name,
    accepted,
    cure,
  });
}

function readBackend(reader: OptionReader, side: 'from' | 'to'): JobBackend {
  const given = reader.get(side);
  if (isJobBackend(given)) return given;
  return reader.refuse(side, 'a JobBackend', 'Give one, such as new RedisJobBackend({ url }).');
}

function readQueues(reader: OptionReader): readonly string[] {
  const given = reader.get('queues');
  const fits =
    Array.isArray(given) &&
    given.length > 0 &&
    given.every((name) => typeof name === 'string' && name.trim() !== '');
  if (fits) return [...new Set(given as string[])];
  return reader.refuse('queues', 'one or more names of queues', "Write for example ['emails'].");
}

function readCodec(
  reader: OptionReader,
  side: 'fromFormat' | 'toFormat',
  { capabilities }: JobBackend,
): PayloadCodec {
  const names = payloadFormats.map((name) => `'${name}'`).join(', ');
  return (
    codecOf(reader.get(side) ?? capabilities.format ?? 'msgpack') ??
    reader.refuse(
      side,
      `${names}, or a codec with encode(value) and decode(bytes)`,
      'Give what the queues have as their `format` there.',
    )
  );
}

const signalMethods = ['throwIfAborted', 'addEventListener', 'removeEventListener'];
const clockMethods = ['now', 'monotonic', 'setTimer'];

/** By its shape: it may be of another realm, or of another copy of this package. */
function checkShape<Given>(
  reader: OptionReader,
  option: string,
  given: Given,
  methods: readonly string[],
  accepted: string,
): Given {
  const shape = given as Readonly<Record<string, unknown>> | null | undefined;
  if (given === undefined || methods.every((method) => typeof shape?.[method] === 'function')) return given;
  return reader.refuse(option, `${accepted}, with ${methods.join('(), ')}()`, 'Give one, or leave it out.');
}

function checkFunction<Given>(reader: OptionReader, option: string, given: Given): Given {
  if (given === undefined || typeof given === 'function') return given;
  return reader.refuse(option, 'a function', 'Give one, or leave it out.');
}
