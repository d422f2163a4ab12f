import { isWorkError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import { drainJobs } from '../jobs/drain-jobs.js';
import type { DrainJobsOptions } from '../jobs/drain-jobs-options.js';
import type { DrainedQueue } from '../jobs/drain-jobs-tally.js';
import { type Command, type Terminal, UsageError } from './command.js';
import { drainTable, isIncomplete, leftReport, movedWord } from './drain-report.js';
import { loadBackend } from './load-backend.js';
import { optionsIn, withFlagNames } from './option-flags.js';

const usage = `Usage: nestjs-worker drain --from <file> --to <file> --queue <name> [options]

Moves the jobs of queues from one backend to another, for an app that is deployed with the other one by now. Pauses the
queues at the source for good. May be stopped at any moment, and run again.

  --from <file>               module that exports the backend that has the jobs as its default (.mjs, .js, .cjs)
  --to <file>                 module that exports the one that is to have them
  --queue <name>              queue whose jobs are moved; give it again for each further one

  --dead                      dead jobs, too: they are due at once there
  --duplicates                jobs, too, whose unique key another job holds there: without the key
  --wait <duration>           how long to wait for jobs that are still being run at the source (30s); or Infinity
  --from-format <format>      format of the queues at the source: msgpack, json or bytes (that of the backend)
  --to-format <format>        format of the queues at the target (that of the backend)
  --dry-run                   change nothing, and tell what would become of the jobs that wait now
  --json                      print a line of JSON per queue, and no table

Exits with 1 where jobs are left that were to be moved, or where it failed; with 2, and with nothing done, where there is
a mistake in what it was given, or a queue is paused at the target.
`;

const flagOf = {
  from: 'from',
  to: 'to',
  queues: 'queue',
  dead: 'dead',
  duplicates: 'duplicates',
  wait: 'wait',
  fromFormat: 'from-format',
  toFormat: 'to-format',
  dryRun: 'dry-run',
} as const satisfies Partial<Record<keyof DrainJobsOptions, string>>;

const yesOrNo = new Set<string>(['dead', 'duplicates', 'dry-run', 'json']);

/** Progress is told so often at most. */
const tellEveryMs = 1_000;

export const drainCommand: Command = {
  usage,
  flags: Object.fromEntries(
    [...Object.values(flagOf), 'json'].map((flag) => [
      flag,
      { type: yesOrNo.has(flag) ? 'boolean' : 'string', multiple: flag === flagOf.queues },
    ]),
  ),
  async run(flags, terminal) {
    const { from, to, wait, ...given } = optionsIn(flags, flagOf, ['from', 'to', 'queues']);
    const isDry = flags[flagOf.dryRun] === true;
    const progress = new Progress(terminal, isDry);
    const options = {
      ...given,
      wait: wait === 'Infinity' ? Infinity : wait,
      from: await loadBackend('from', from as string, terminal.cwd),
      to: await loadBackend('to', to as string, terminal.cwd),
      signal: terminal.signal,
      onProgress: (queue) => progress.tell(queue),
      onWarning: (message) => terminal.tell(`${message}\n`),
    } as DrainJobsOptions;
    const drained = await drain(options, terminal, progress);
    if (drained === undefined) return 1;
    for (const queue of drained) terminal.tell(leftReport(queue, isDry));
    terminal.print(
      flags['json'] === true
        ? drained.map((queue) => `${JSON.stringify(queue)}\n`).join('')
        : drainTable(drained, isDry),
    );
    return drained.some(isIncomplete) ? 1 : 0;
  },
};

/** `undefined` where it did not come to its end. */
async function drain(
  options: DrainJobsOptions,
  terminal: Terminal,
  progress: Progress,
): Promise<readonly DrainedQueue[] | undefined> {
  try {
    return await drainJobs(options);
  } catch (error) {
    const told = withFlagNames(error, flagOf);
    // A mistake with a flag; nothing was done.
    if (told instanceof UsageError) throw told;
    const why = terminal.signal.aborted ? 'It was stopped.' : messageOf(error);
    const then = progress.hasMoved ? 'What was moved is moved. Run the same command again to go on.\n' : '';
    terminal.tell(`${why}\n${then}`);
    return undefined;
  }
}

function messageOf(error: unknown): string {
  const { name, message } = toErrorInfo(error);
  return isWorkError(error) ? message : `${name}: ${message}`;
}

/** Tells how it goes. */
class Progress {
  readonly #terminal: Terminal;
  readonly #isDry: boolean;
  #toldAt = -Infinity;
  hasMoved = false;

  constructor(terminal: Terminal, isDry: boolean) {
    this.#terminal = terminal;
    this.#isDry = isDry;
  }

  tell({ queue, moved, alreadyThere, left: { active } }: DrainedQueue): void {
    const gone = moved + alreadyThere;
    if (gone > 0 && !this.#isDry) this.hasMoved = true;
    const now = performance.now();
    if (now - this.#toldAt < tellEveryMs) return;
    this.#toldAt = now;
    const waiting = active > 0 ? `, ${active} are still being run` : '';
    this.#terminal.tell(`${queue}: ${gone} ${movedWord(this.#isDry)}${waiting}\n`);
  }
}
