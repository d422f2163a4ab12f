import { InvalidOptionError } from '../errors/index.js';
import { type Flags, UsageError } from './command.js';

/** Flags by the option that each one sets. */
export type FlagOf = Readonly<Record<string, string>>;

/** The options that were given; throws where one of those that must be is not. */
export function optionsIn(
  flags: Flags,
  flagOf: FlagOf,
  required: readonly string[],
): Readonly<Record<string, unknown>> {
  const given: Record<string, unknown> = {};
  for (const [option, flag] of Object.entries(flagOf)) {
    if (flags[flag] !== undefined) given[option] = flags[flag];
  }
  const missing = required.filter((option) => given[option] === undefined);
  if (missing.length === 0) return given;
  throw new UsageError(`Missing: ${missing.map((option) => `--${flagOf[option]}`).join(', ')}.`);
}

/** What is wrong with an option, by the name of its flag: whoever typed that has never seen the option. */
export function withFlagNames(error: unknown, flagOf: FlagOf): unknown {
  if (!(error instanceof InvalidOptionError)) return error;
  const flag = flagOf[error.option];
  if (flag === undefined) return error;
  const message = error.message.replace(`Option "${error.option}"`, `Option --${flag}`);
  return new UsageError(message, { cause: error });
}
