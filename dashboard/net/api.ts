import type { ProblemDocument } from '../documents.js';

/** The server refused, or could not be reached. */
export class ApiError extends Error {
  /** The HTTP status; 0: no answer. */
  readonly status: number;
  /** What is wrong, for programs; empty where the server did not say. */
  readonly code: string;

  constructor(status: number, problem: Partial<ProblemDocument>) {
    const issues = (problem.issues ?? []).map(({ path, message }) => `${path} ${message}`.trim());
    super([problem.error ?? `The server answered ${status}.`, ...issues].join(' '));
    this.name = 'ApiError';
    this.status = status;
    this.code = problem.code ?? '';
  }
}

export interface ApiOptions {
  /** Ends in a slash. */
  readonly base: URL;
  /** The value of the Authorization header; `null`: none. */
  readonly authorization: () => string | null;
  /** The server wants to know who we are (401). */
  readonly onUnauthorized: (error: string) => void;
  readonly fetch?: typeof fetch;
}

/** The HTTP API, in JSON. Calls reject with `ApiError`. */
export class Api {
  readonly #options: ApiOptions;

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  url(path: string): URL {
    return new URL(path, this.#options.base);
  }

  headers(): Record<string, string> {
    const authorization = this.#options.authorization();
    return authorization === null ? {} : { authorization };
  }

  get<Document>(path: string, signal?: AbortSignal): Promise<Document> {
    return this.#call('GET', path, undefined, signal);
  }

  post<Document>(path: string, body: unknown = {}): Promise<Document> {
    return this.#call('POST', path, body);
  }

  delete<Document>(path: string): Promise<Document> {
    return this.#call('DELETE', path);
  }

  async #call<Document>(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<Document> {
    const limit = AbortSignal.timeout(30_000);
    const load = this.#options.fetch ?? fetch;
    let response: Response;
    let answer: unknown;
    try {
      response = await load(this.url(path), {
        method,
        headers: {
          accept: 'application/json',
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...this.headers(),
        },
        credentials: 'same-origin',
        signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      answer = parsed(await response.text());
    } catch (cause) {
      if (signal?.aborted) throw cause;
      const error = limit.aborted
        ? 'The server did not answer within 30 seconds.'
        : 'The server cannot be reached.';
      throw new ApiError(0, { error });
    }
    if (response.ok && answer !== undefined) return answer as Document;
    const problem = typeof answer === 'object' && answer !== null ? (answer as Partial<ProblemDocument>) : {};
    const error = new ApiError(response.status, problem);
    if (response.status === 401) this.#options.onUnauthorized(error.message);
    throw error;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A path whose `{}` are names, encoded. */
export function pathTo(template: string, ...names: readonly string[]): string {
  const rest = [...names];
  return template.replaceAll('{}', () => encodeURIComponent(rest.shift() ?? ''));
}
