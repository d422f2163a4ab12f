import { type LogFields, type LogLevel, noLogger, type WorkLogger } from '../../lib/execution/index.js';

export interface RecordedLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
  /** The fields as they were given, one object for each logger that the line came through. */
  readonly given: readonly LogFields[];
}

/** For pools whose lines nobody looks at. */
export const silentLogger: WorkLogger = noLogger;

/** Keeps lines instead of writing them. */
export class RecordingLogger implements WorkLogger {
  constructor(
    readonly lines: RecordedLine[] = [],
    private readonly bound: readonly LogFields[] = [],
  ) {}

  debug(message: string, fields?: LogFields): void {
    this.#add('debug', message, fields);
  }

  log(message: string, fields?: LogFields): void {
    this.#add('log', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#add('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#add('error', message, fields);
  }

  child(fields: LogFields): RecordingLogger {
    return new RecordingLogger(this.lines, [...this.bound, fields]);
  }

  messages(level?: LogLevel): string[] {
    return this.lines
      .filter((line) => level === undefined || line.level === level)
      .map((line) => line.message);
  }

  #add(level: LogLevel, message: string, fields?: LogFields): void {
    const given = fields === undefined ? this.bound : [...this.bound, fields];
    this.lines.push({ level, message, fields: Object.assign({}, ...given) as LogFields, given });
  }
}
