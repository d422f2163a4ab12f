import { inspect } from 'node:util';
import { WorkError } from './work-error.js';

/** What was wrong with an option. */
export interface InvalidOption {
  /** Who set it: `worker "outbox-relay" (OutboxRelay in AppModule)`, `WorkerModule.forRoot()`. */
  readonly owner: string;
  /** The option, as a path: `backoff.max`. */
  readonly option: string;
  readonly given: unknown;
  /** What is accepted, as the rest of the sentence "… is accepted". */
  readonly accepted: string;
  /** What to do about it. */
  readonly cure: string;
}

/** Raised at boot when an option cannot be used as given. */
export class InvalidOptionError extends WorkError {
  readonly code = 'INVALID_OPTION';
  readonly owner: string;
  readonly option: string;

  constructor({ owner, option, given, accepted, cure }: InvalidOption) {
    super(`Option "${option}" of ${owner} is ${describe(given)}, but accepted is ${accepted}. ${cure}`);
    this.owner = owner;
    this.option = option;
  }
}

function describe(value: unknown): string {
  return inspect(value, { depth: 1, breakLength: Infinity, maxStringLength: 100, maxArrayLength: 5 });
}
