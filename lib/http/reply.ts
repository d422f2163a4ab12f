import type { Answer } from './operation.js';
import type { PlatformAdapter } from './platform.js';

const headers: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
};

/**
 * Sends an answer. By itself and not by what a handler returns: interceptors of the app that put what they see into an envelope would
 * change what the API promises.
 */
export function replyWith(adapter: PlatformAdapter, response: object, answer: Answer): void {
  if (adapter.isHeadersSent(response)) return;
  const { status = 200, body, type = 'application/json; charset=utf-8' } = answer;
  const all = { ...headers, ...answer.headers, 'content-type': type };
  for (const [name, value] of Object.entries(all)) adapter.setHeader(response, name, value);
  adapter.reply(response, typeof body === 'string' ? body : JSON.stringify(body), status);
}
