import type { ParseArgsConfig } from 'node:util';

/** Where a command is run, and what it says where. */
export interface Terminal {
  /** Files are named relative to that. */
  readonly cwd: string;
  /** Whoever started it wants it to end. */
  readonly signal: AbortSignal;
  /** To stdout: what was asked for. */
  print(text: string): void;
  /** To stderr: all else. */
  tell(text: string): void;
}

/** The values of flags as they were written. */
export type Flags = Readonly<Record<string, unknown>>;

/** One command of `npx nestjs-worker`. */
export interface Command {
  readonly usage: string;
  readonly flags: NonNullable<ParseArgsConfig['options']>;
  /** Answers with what to exit. Throws `UsageError` for what it cannot mean. */
  run(flags: Flags, terminal: Terminal): number | Promise<number>;
}

/** Somebody has made a mistake with the flags. */
export class UsageError extends Error {}
