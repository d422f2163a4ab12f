import { inspect } from 'node:util';

/**
 * A message with its fields in one object, so that it suits every kind of logger: one that writes JSON finds the
 * fields as properties and the message as `msg`, and one that prints for people finds a line of text.
 */
export class LogLine {
  readonly msg: string;

  constructor(message: string, fields: Readonly<Record<string, unknown>>) {
    this.msg = message;
    Object.assign(this, fields);
  }

  [inspect.custom](): string {
    const { msg, err, ...fields } = this as unknown as {
      msg: string;
      err?: { stack?: string; message?: string };
    };
    const shown = Object.entries(fields).map(([key, value]) => `${key}=${String(value)}`);
    const text = [msg, ...shown].join(' ');
    return err === undefined ? text : `${text}\n${err.stack ?? err.message ?? inspect(err)}`;
  }
}
