// Sends what requests.mjs makes, and judges what is answered.
import { Agent, request as ask } from 'node:http';
import { requestsOf, written } from './requests.mjs';

const atOnce = 16;
/** An answer that takes longer is none. */
const patienceMs = 20_000;
/** What any server may answer to what is not even a good request. */
const alwaysAllowed = new Set([400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 431]);
const stackField = /"stack":"(?:[^"\\]|\\.)*"/g;
const stack = /(?:\n|\\n)\s+at \S|node_modules\/|node:internal|\/lib\/http\//;

function send(base, method, { url, headers, text }, agent) {
  const { hostname, port, pathname } = new URL(base);
  return new Promise((resolve, reject) => {
    const request = ask(
      { hostname, port, method, path: `${pathname}${url}`, headers, agent, timeout: patienceMs },
      (response) => {
        let body = '';
        const done = () =>
          resolve({ status: response.statusCode, body, type: response.headers['content-type'] ?? '' });
        response.setEncoding('utf8').on('data', (chunk) => {
          body += chunk;
          // A stream has no end.
          if (response.headers['content-type']?.startsWith('text/event-stream')) {
            done();
            response.destroy();
          }
        });
        response.on('end', done).on('error', () => done());
      },
    );
    request
      .on('timeout', () => request.destroy(new Error('no answer')))
      .on('error', (error) => reject(error))
      .end(text);
  });
}

/** What is wrong with an answer; `undefined`: nothing. */
export function faultOf(document, { kind, id, path, method, headers }, { status, body, type }) {
  if (status >= 500) return `answered ${status}`;
  // Operators may see those of what they look at, which are fields; nobody sees one of ours.
  const isTheirs = status < 400 && headers.authorization === 'Bearer operator';
  if (stack.test(isTheirs ? body.replaceAll(stackField, '') : body)) return 'told a stack';
  const promised = document.paths[path]?.[method.toLowerCase()]?.responses;
  const isPromised = promised !== undefined && String(status) in promised;
  const isNoRoute = status === 404 && body.includes('"ROUTE_NOT_FOUND"');
  // Paths with long or strange parts do not get as far as the operation.
  const isAllowed = kind === 'valid' ? status === 404 || status === 414 : alwaysAllowed.has(status);
  const isMade = kind === 'mutated' && status < 400;
  if (!isPromised && !isNoRoute && !isAllowed && !isMade)
    return `answered ${status}, which ${id} does not promise`;
  if (status < 400 || body === '' || !type.startsWith('application/json')) return undefined;
  const { error, code } = JSON.parse(body);
  return typeof error === 'string' && typeof code === 'string' ? undefined : 'has another form of errors';
}

/**
 * Sends `count` requests of `seed` to the API at `base`, and tells what was answered. Each fault comes with the request.
 * `onProgress` is told how many are done.
 */
export async function fuzz({ base, document, count, seed, onProgress = () => {} }) {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
  const statuses = new Map();
  const kinds = new Map();
  const faults = [];
  const requests = requestsOf(document, count, seed);
  let done = 0;
  const from = performance.now();
  const one = async () => {
    for (const request of requests) {
      const sent = written(request);
      try {
        const answer = await send(base, request.method, sent, agent);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        const kind = `${request.kind} ${answer.status < 400 ? 'done' : 'refused'}`;
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
        const fault = faultOf(document, request, answer);
        if (fault !== undefined)
          faults.push({ fault, request, sent, answer: { ...answer, body: answer.body.slice(0, 500) } });
      } catch (error) {
        // What Node does not even send is no request; what is cut off in the middle of a body that is refused, is one.
        if (!['ERR_UNESCAPED_CHARACTERS', 'ERR_INVALID_CHAR', 'EPIPE'].includes(error.code))
          faults.push({ fault: `was not answered: ${error.message}`, request, sent });
      }
      if (faults.length > 50) return;
      if (++done % 500 === 0) onProgress(done);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  agent.destroy();
  const sorted = (map) =>
    Object.fromEntries([...map].toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  return {
    seed,
    done,
    ms: performance.now() - from,
    statuses: sorted(statuses),
    kinds: sorted(kinds),
    faults,
  };
}
