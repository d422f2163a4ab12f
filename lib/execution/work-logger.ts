import { LogLine } from './log-line.js';

/** Structured fields of a log line. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogLevel = 'debug' | 'log' | 'warn' | 'error';

/** Where log lines go. A port: what stands behind it (Nest's `Logger`, pino, nothing) is the app's choice. */
export interface WorkLogger {
  debug(message: string, fields?: LogFields): void;
  log(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** `fields.err` may hold the error itself. */
  error(message: string, fields?: LogFields): void;
  /** Answers false where lines of that level go nowhere, so that they need not be made. */
  isEnabled?(level: LogLevel): boolean;
  /** A logger that puts `fields` on each of its lines, in a run that they name. */
  child(fields: LogFields): WorkLogger;
}

/** Logs nothing. */
export const noLogger: WorkLogger = {
  debug: () => {},
  log: () => {},
  warn: () => {},
  error: () => {},
  isEnabled: () => false,
  child: () => noLogger,
};

/** Logs to the console: for pools that are made by hand and given no logger. */
export const consoleLogger: WorkLogger = consoleLoggerWith({});

function consoleLoggerWith(bound: LogFields): WorkLogger {
  const write =
    (level: LogLevel) =>
    (message: string, fields?: LogFields): void =>
      console[level](new LogLine(message, { ...bound, ...fields }));
  return {
    debug: write('debug'),
    log: write('log'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => consoleLoggerWith({ ...bound, ...fields }),
  };
}
