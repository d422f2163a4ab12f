import type { DynamicModule } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';

/** A line as pino wrote it. */
export class PinoLine {
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(readonly text: string) {
    this.fields = JSON.parse(text) as Record<string, unknown>;
  }

  get msg(): unknown {
    return this.fields.msg;
  }

  /** How often a key is in the text: JSON.parse keeps the last of several and tells nothing of the others. */
  count(key: string): number {
    return this.text.split(`"${key}":`).length - 1;
  }
}

/** Takes what pino writes. One for each test file: nestjs-pino has one root logger per process. */
export class PinoLines {
  #lines: PinoLine[] = [];

  write(text: string): void {
    this.#lines.push(new PinoLine(text));
  }

  clear(): void {
    this.#lines = [];
  }

  all(): readonly PinoLine[] {
    return this.#lines;
  }

  /** The lines with such a message. */
  matching(message: string | RegExp): PinoLine[] {
    return this.#lines.filter(({ msg }) =>
      typeof message === 'string' ? msg === message : message.test(String(msg)),
    );
  }

  /** `LoggerModule.forRoot()`, writing to here. */
  module(): DynamicModule {
    return LoggerModule.forRoot({ pinoHttp: [{ level: 'trace' }, this] });
  }
}

export const workerKeys = ['worker', 'workerExecutionID'] as const;
