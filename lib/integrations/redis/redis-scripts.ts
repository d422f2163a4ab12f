import type { RedisConnection, ScriptArguments } from './redis-connection.js';
import type { RedisScript } from './redis-script.js';
import type { Answer } from './script-answers.js';
import { timeScript } from './scripts/lookup.js';
import { ServerTime } from './server-time.js';

/** Items per call of a script, so that none keeps Redis from everybody else for long. */
export const largestBatch = 500;

/** Runs scripts on a queue of one namespace. Each answers the time first. */
export class RedisScripts {
  readonly time = new ServerTime();
  readonly #connection: RedisConnection;
  readonly #namespace: string;

  constructor(connection: RedisConnection, namespace: string) {
    this.#connection = connection;
    this.#namespace = namespace;
  }

  /** What the keys of jobs begin with: their ids follow. */
  get jobKeyStart(): string {
    return `${this.#namespace}:job:`;
  }

  async call(
    script: RedisScript,
    queue: string,
    args: ScriptArguments,
    onLate?: (answer: Answer) => void,
  ): Promise<Answer> {
    const all = [`${this.#namespace}:queue:${queue}`, this.#namespace, queue, ...args];
    const late = onLate && ((answer: unknown) => onLate(answer as Answer));
    const answer = (await this.#connection.run(script, all, late)) as Answer;
    this.time.learn(Number(answer[0]));
    return answer;
  }

  /** Asks what time it is. */
  async learnTime(): Promise<void> {
    await this.call(timeScript, '', []);
  }

  channelOf(queue: string): string {
    return `${this.#namespace}:wake:${queue}`;
  }

  queueOf(channel: string): string {
    return channel.slice(`${this.#namespace}:wake:`.length);
  }
}
