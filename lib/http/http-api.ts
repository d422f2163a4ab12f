import { isWorkError } from '../errors/index.js';
import type { Pool } from '../pool/index.js';
import { HttpApp } from './http-app.js';
import type { ResolvedHttpOptions } from './http-options.js';
import type { Answer, Caller, Operation, Stream } from './operation.js';
import { internalProblem, Problem, problemOf, unavailableProblem } from './problem.js';
import { readUnparsedBody } from './read-body.js';
import { type RawRequest, readRequest } from './read-request.js';

/** Longest that a part of a request is noted in the audit. */
const longestNoted = 200;

/** What a parameter names. */
const kinds: Readonly<Record<string, string>> = {
  name: 'worker',
  queue: 'queue',
  queue_id: 'queue',
  id: 'job',
  job_id: 'job',
};

/** Answers the requests of one `WorkerHttpModule`. Knows nothing of Nest. */
export class HttpApi {
  readonly app: HttpApp;

  constructor(
    readonly pool: Pool,
    readonly options: ResolvedHttpOptions,
    /** The last part of the path of the module. */
    folder: string,
  ) {
    this.app = new HttpApp(pool, options, folder);
  }

  /** Whoever looks at the dashboard wants to see the last minutes too. */
  open(): void {
    if (this.options.dashboard && [...this.app.jobs.queues()].length > 0) this.app.samples.start();
  }

  close(): void {
    this.app.samples.stop();
    this.app.feed.close();
  }

  /** Rejects with `Problem`. */
  async answer(operation: Operation, request: RawRequest, caller: Caller): Promise<Answer | Stream> {
    try {
      const input = readRequest(operation, await this.#withBody(operation, request), this.options.bodyLimit);
      const answer = await operation.run(this.app, input as never, caller);
      if (!('stream' in answer)) this.note(operation, request, caller.name, answer);
      return answer;
    } catch (error) {
      const problem = this.#problemOfRun(error);
      this.note(operation, request, caller.name, problem);
      throw problem;
    }
  }

  /** What a handler's own code throws is not the caller's doing, whatever status it has: it may be that of another service. */
  #problemOfRun(error: unknown): Problem {
    const isNest = typeof (Object(error) as { getStatus?: unknown }).getStatus === 'function';
    if (isNest || error instanceof Problem || isWorkError(error) || error === this.app.jobs.connection?.error)
      return this.problem(error);
    return this.#fault(error);
  }

  async #withBody({ body: schema }: Operation, request: RawRequest): Promise<RawRequest> {
    const { unparsed } = request;
    if (schema === undefined || unparsed === undefined) return request;
    return { ...request, body: await readUnparsedBody(unparsed, this.options.bodyLimit) };
  }

  /** What `thrown` is answered with. What is our own fault is told to the log, and to nobody else. */
  problem(thrown: unknown): Problem {
    if (thrown !== undefined && thrown === this.app.jobs.connection?.error) return unavailableProblem;
    const problem = problemOf(thrown);
    return problem ?? this.#fault(thrown);
  }

  #fault(error: unknown): Problem {
    this.pool.say('error', 'The HTTP API of nestjs-worker failed to answer a request', { err: error });
    return internalProblem;
  }

  /** Puts a command into the audit. */
  note({ id, access }: Operation, request: RawRequest, by: string | null, answer: Answer | Problem): void {
    if (access !== 'command') return;
    this.app.commands.add({
      command: id,
      target: { ...targetOf(request), ...('target' in answer ? answer.target : {}) },
      by,
      status: answer.status ?? 200,
      code: 'code' in answer ? answer.code : null,
    });
  }
}

function targetOf({ params, query, body }: RawRequest): Record<string, string> {
  const { id, queue_id } = Object(body) as Readonly<Record<string, unknown>>;
  const given = { id, queue_id, ...Object(query), ...Object(params) } as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(kinds).flatMap(([parameter, kind]): [string, string][] => {
      const value = given[parameter];
      return typeof value === 'string' ? [[kind, value.slice(0, longestNoted)]] : [];
    }),
  );
}
