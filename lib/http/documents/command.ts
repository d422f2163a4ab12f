import { type Static, Type } from '@sinclair/typebox';
import { document, nullable, time } from './parts.js';

/** A command that somebody gave over HTTP, and what it was answered with. */
export interface HttpCommand {
  readonly id: string;
  /** When it was answered (RFC 3339). */
  readonly time: string;
  /** The `operationId`, such as `restartWorker`. */
  readonly command: string;
  /** What it was about, by kind: `worker`, `queue`, `job`. */
  readonly target: Readonly<Record<string, string>>;
  /** Who gave it, as far as the guards tell. */
  readonly by: string | null;
  /** The HTTP status of the answer. */
  readonly status: number;
  /** Why it was refused; `null`: it was not. */
  readonly code: string | null;
}

/** The same, as the API shows it. */
export const CommandDocument = document('Command', {
  id: Type.String(),
  time: time('When it was answered'),
  command: Type.String({ description: 'The operation, such as restartWorker' }),
  target: Type.Record(Type.String(), Type.String(), { description: 'What it was about: worker, queue, job' }),
  by: nullable(Type.String(), 'Who gave it, as far as the guards tell'),
  status: Type.Integer({ description: 'The HTTP status of the answer' }),
  code: nullable(Type.String(), 'Why it was refused; null: it was not'),
});
export type CommandDocument = Static<typeof CommandDocument>;
