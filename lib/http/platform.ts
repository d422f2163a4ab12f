import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Headers } from './cross-origin.js';
import type { RawRequest } from './read-request.js';

/** What Nest's adapters of the two have in common, as far as answers need it. */
export interface PlatformAdapter {
  isHeadersSent(response: object): boolean;
  setHeader(response: object, name: string, value: string): unknown;
  reply(response: object, body: string, status: number): unknown;
}

/** What requests of Express and Fastify have in common. */
export interface PlatformRequest {
  readonly method: string;
  readonly url: string;
  /** Of Express: where a router has cut off its part of `url`. */
  readonly originalUrl?: string;
  readonly headers: Headers;
  readonly params: unknown;
  readonly query: unknown;
  readonly body?: unknown;
  readonly user?: unknown;
  readonly raw?: IncomingMessage;
}

/** What responses of the two have that nobody else hides. */
interface FastifyReply {
  readonly raw: ServerResponse;
  getHeaders(): OutgoingHttpHeaders;
  hijack(): unknown;
}

export function rawRequest(request: PlatformRequest): RawRequest {
  const { headers, params, query, body } = request;
  const url = request.originalUrl ?? request.url;
  // Express has Node's own request, and Fastify parses every body or refuses it.
  if (request.raw !== undefined || body !== undefined) return { url, headers, params, query, body };
  return { url, headers, params, query, body, unparsed: request as unknown as IncomingMessage };
}

/** Node's own response, to be written to by hand. Of Fastify: with the headers that were set, and taken out of its hands. */
export function rawResponse(response: object): ServerResponse {
  if (!('hijack' in response)) return response as ServerResponse;
  const { raw } = response as FastifyReply;
  for (const [name, value] of Object.entries((response as FastifyReply).getHeaders())) {
    if (value !== undefined) raw.setHeader(name, value);
  }
  (response as FastifyReply).hijack();
  return raw;
}

/** Who the guards say that it is. */
export function nameOf({ user }: PlatformRequest): string | undefined {
  if (typeof user === 'string') return user;
  const { id, sub, username, email, name } = Object(user) as Readonly<Record<string, unknown>>;
  const found = [id, sub, username, email, name].find(
    (one) => typeof one === 'string' || typeof one === 'number',
  );
  return found === undefined ? undefined : String(found);
}
