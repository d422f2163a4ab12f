import { parseArgs, type ParseArgsConfig } from 'node:util';
import { InvalidOptionError } from '../errors/index.js';
import { scaledObject, type ScaledObjectOptions } from './scaled-object.js';

/** What a command did: what to write where, and with what to exit. */
export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const usage = `Usage: nestjs-worker scaled-object --queue <name> --url <url> --deployment <name> [options]

Prints the ScaledObject (YAML) with which KEDA runs as many pods as a job queue wants.

  --queue <name>              job queue that the pods consume; give it again for each further one
  --url <url>                 where WorkerHttpModule answers, as in http://api.default.svc:3000/work
  --deployment <name>         the Deployment that is scaled

  --name <name>               name of the ScaledObject (that of the Deployment)
  --namespace <name>          namespace of both (none: that of kubectl)
  --jobs-per-consumer <n>     jobs that one pod is there for; as a rule the queue's concurrency (10)
  --window <duration>         jobs that are due so soon count already (1m)
  --min <n>                   pods with no work at all (0)
  --max <n>                   the most pods (10)
  --polling-interval <s>      seconds between two looks while there are no pods (30)
  --cooldown <s>              seconds without work until the last pod goes (300)
  --auth <name>               TriggerAuthentication that holds KEDA's credentials (none)
  --auth-mode <mode>          what it holds: bearer, basic, apiKey or tls (bearer)
`;

/** The flags, by the option of the scaled object that each one sets. */
const flags = {
  queues: 'queue',
  url: 'url',
  deployment: 'deployment',
  name: 'name',
  namespace: 'namespace',
  jobsPerConsumer: 'jobs-per-consumer',
  window: 'window',
  min: 'min',
  max: 'max',
  pollingInterval: 'polling-interval',
  cooldown: 'cooldown',
  auth: 'auth',
  authMode: 'auth-mode',
} as const satisfies Record<keyof ScaledObjectOptions, string>;

const argOptions: NonNullable<ParseArgsConfig['options']> = {
  help: { type: 'boolean', short: 'h' },
  ...Object.fromEntries(
    Object.values(flags).map((flag) => [flag, { type: 'string', multiple: flag === flags.queues }]),
  ),
};
const numeric = new Set(['jobsPerConsumer', 'min', 'max', 'pollingInterval', 'cooldown']);
const required = ['queues', 'url', 'deployment'] as const;

/** Somebody who asked for it has not made a mistake. */
const help: CliResult = { exitCode: 0, stdout: usage, stderr: '' };

/** Runs the command `nestjs-worker`. `argv`: what follows its name. Changes nothing, and throws nothing. */
export function cli(argv: readonly string[]): CliResult {
  const [command, ...args] = argv;
  if (command === '--help' || command === '-h') return help;
  if (command === undefined) return refused();
  if (command !== 'scaled-object') return refused(`There is no command ${JSON.stringify(command)}.`);
  try {
    const given = read(args);
    if (given === 'help') return help;
    const missing = required.filter((option) => given[option] === undefined);
    if (missing.length > 0) {
      return refused(`Missing: ${missing.map((option) => `--${flags[option]}`).join(', ')}.`);
    }
    return { exitCode: 0, stdout: scaledObject(given as unknown as ScaledObjectOptions), stderr: '' };
  } catch (error) {
    return refused(complaint(error));
  }
}

function refused(why?: string): CliResult {
  return { exitCode: 2, stdout: '', stderr: why === undefined ? usage : `${why}\n\n${usage}` };
}

/** The options as they were written; what is wrong with them is for `scaledObject()` to say. */
function read(args: readonly string[]): Readonly<Record<string, unknown>> | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: argOptions,
    strict: true,
    allowPositionals: false,
  });
  if (values['help'] === true) return 'help';
  const given: Record<string, unknown> = {};
  for (const [option, flag] of Object.entries(flags)) {
    const value = values[flag];
    if (value === undefined) continue;
    const isNumber = numeric.has(option) && typeof value === 'string' && /^\d+$/.test(value);
    given[option] = isNumber ? Number(value) : value;
  }
  return given;
}

/** By the name of the flag: whoever typed that has never seen the option. */
function complaint(error: unknown): string {
  if (error instanceof InvalidOptionError) {
    const flag = flags[error.option as keyof ScaledObjectOptions];
    return error.message.replace(`Option "${error.option}"`, `Option --${flag}`);
  }
  return error instanceof Error ? error.message : String(error);
}
