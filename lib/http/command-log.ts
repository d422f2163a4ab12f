import { v7 as uuid } from 'uuid';
import type { LogFields } from '../execution/index.js';
import type { Pool } from '../pool/index.js';
import type { HttpCommand } from './documents/command.js';
import { timeOf } from './documents/parts.js';

/** So many are kept to be shown; the log has all. */
const kept = 200;

type Listener = (command: HttpCommand) => void;

/** What was answered to somebody who gave a command. */
export interface AnsweredCommand {
  readonly command: string;
  readonly target: Readonly<Record<string, string>>;
  readonly by: string | null;
  readonly status: number;
  readonly code: string | null;
}

/** The audit: each command that somebody gave, also where it was refused. */
export class CommandLog {
  readonly #pool: Pool;
  readonly #onCommand: ((command: HttpCommand) => unknown) | undefined;
  readonly #listeners = new Set<Listener>();
  #commands: HttpCommand[] = [];

  constructor(pool: Pool, onCommand: ((command: HttpCommand) => unknown) | undefined) {
    this.#pool = pool;
    this.#onCommand = onCommand;
  }

  /** Newest first. */
  get commands(): readonly HttpCommand[] {
    return this.#commands.toReversed();
  }

  add({ command, target, by, status, code }: AnsweredCommand): void {
    const time = timeOf(this.#pool.clock.now());
    // It goes to code of the app, which is not to change what was noted.
    const entry: HttpCommand = Object.freeze({
      id: uuid(),
      time,
      command,
      target: Object.freeze({ ...target }),
      by,
      status,
      code,
    });
    this.#commands.push(entry);
    if (this.#commands.length > kept) {
      // Whoever is not let in does not push out what was done.
      const refusal = this.#commands.findIndex((one) => one.status === 401 || one.status === 403);
      this.#commands.splice(Math.max(0, refusal), 1);
    }
    const what = Object.entries(target).map(([kind, name]) => ` ${kind} ${JSON.stringify(name)}`);
    const refused = code === null ? '' : ` was refused (${code})`;
    this.#pool.say(
      code === null ? 'log' : 'warn',
      `Command ${command}${what.join(',')} by ${by === null ? 'somebody unnamed' : JSON.stringify(by)}${refused}`,
      fieldsOf(entry),
    );
    for (const listener of this.#listeners) listener(entry);
    void this.#tell(entry);
  }

  /** Answers how to stop it. */
  on(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #tell(entry: HttpCommand): Promise<void> {
    try {
      await this.#onCommand?.(entry);
    } catch (error) {
      this.#pool.report('onCommand of WorkerHttpModule', error);
    }
  }
}

/** For the log: flat, under the names that other lines have. */
function fieldsOf({ command, target, by, status, code }: HttpCommand): LogFields {
  const { job, ...others } = target;
  return {
    command,
    ...others,
    ...(job !== undefined && { jobID: job }),
    ...(by !== null && { by }),
    status,
    ...(code !== null && { code }),
  };
}
