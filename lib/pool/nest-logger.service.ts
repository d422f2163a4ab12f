import { Logger } from '@nestjs/common';
import { type LogFields, type LogLevel, LogLine, type WorkLogger } from '../execution/index.js';

// Nest 11 says no to every level until levels have been set, and then there is no use in asking.
const tellsLevels = Logger.isLevelEnabled('fatal');

/** Writes through Nest's `Logger`, whatever the app has put behind it. */
export class NestWorkLogger implements WorkLogger {
  readonly #logger = new Logger('Worker');

  constructor(private readonly bound: LogFields = {}) {}

  debug(message: string, fields?: LogFields): void {
    this.#logger.debug(this.#line(message, fields));
  }

  log(message: string, fields?: LogFields): void {
    this.#logger.log(this.#line(message, fields));
  }

  warn(message: string, fields?: LogFields): void {
    this.#logger.warn(this.#line(message, fields));
  }

  error(message: string, fields?: LogFields): void {
    this.#logger.error(this.#line(message, fields));
  }

  isEnabled(level: LogLevel): boolean {
    return !tellsLevels || Logger.isLevelEnabled(level);
  }

  child(fields: LogFields): WorkLogger {
    return new NestWorkLogger({ ...this.bound, ...fields });
  }

  #line(message: string, fields?: LogFields): LogLine {
    return new LogLine(message, { ...this.bound, ...fields });
  }
}
