import {
  currentContext,
  type LogFields,
  type LogLevel,
  logFields,
  type WorkLogger,
} from '../../execution/index.js';

type PinoLevel = 'debug' | 'info' | 'warn' | 'error';

/** nestjs-pino's `PinoLogger`, as far as it is a source of pino loggers: inside a run, of the run's own. */
export interface PinoSource {
  readonly logger: Record<PinoLevel, (fields: LogFields, message: string) => void> & {
    isLevelEnabled(level: string): boolean;
  };
}

const levels: Record<LogLevel, PinoLevel> = { debug: 'debug', log: 'info', warn: 'warn', error: 'error' };

/**
 * Writes straight to pino: on the way through Nest's `Logger` a line may be held back, and come out where the run
 * that it belongs to is over.
 */
export class PinoWorkLogger implements WorkLogger {
  constructor(
    private readonly pino: PinoSource,
    /** Calls a function outside of any run. */
    private readonly outside: (write: () => void) => void,
    private readonly bound: LogFields = {},
  ) {}

  debug(message: string, fields?: LogFields): void {
    this.#write('debug', message, fields);
  }

  log(message: string, fields?: LogFields): void {
    this.#write('log', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#write('error', message, fields);
  }

  isEnabled(level: LogLevel): boolean {
    return this.pino.logger.isLevelEnabled(levels[level]);
  }

  child(fields: LogFields): WorkLogger {
    return new PinoWorkLogger(this.pino, this.outside, { ...this.bound, ...fields });
  }

  #write(level: LogLevel, message: string, fields?: LogFields): void {
    const all: Record<string, unknown> = { context: 'Worker', ...this.bound, ...fields };
    const ctx = currentContext();
    const named = Object.entries(ctx === undefined ? {} : logFields(ctx));
    const write = (): void => this.pino.logger[levels[level]](all, message);
    // The logger of one run, used inside of another: there, the line would name both.
    if (named.some(([key, value]) => key in all && all[key] !== value)) return this.outside(write);
    // Inside a run the pino context names the execution already: saying it again would put each field there twice.
    for (const [key] of named) delete all[key];
    write();
  }
}
