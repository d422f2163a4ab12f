import { Problem } from './problem.js';

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Refuses a command that a page of another site makes a browser send, with the cookies of whoever looks at it. Browsers say
 * where a request comes from (`Sec-Fetch-Site`, or `Origin`, which no page can forge); what says nothing is no browser, and cannot
 * be tricked so. Throws `Problem`.
 */
export function refuseCrossOrigin(headers: Headers, allowed: ReadonlySet<string>): void {
  const origin = text(headers['origin']);
  if (origin !== undefined && allowed.has(origin)) return;
  const site = text(headers['sec-fetch-site']);
  if (site !== undefined ? site === 'same-origin' || site === 'none' : isSame(origin, text(headers['host'])))
    return;
  throw new Problem(403, 'CROSS_ORIGIN', 'A page of another site sent this command.');
}

/** Browsers send `Sec-Fetch-Site` only by https and to localhost. */
function isSame(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

function text(header: Headers[string]): string | undefined {
  return typeof header === 'string' ? header : header?.[0];
}
