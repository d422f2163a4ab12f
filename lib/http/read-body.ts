import type { IncomingMessage } from 'node:http';
import { Problem } from './problem.js';

/**
 * The JSON of a body that no parser of the app has read, as with `bodyParser: false`; `undefined` where there is none, or somebody
 * has taken it. Rejects with `Problem` for one that is no JSON, or longer than `limit` bytes.
 */
export async function readUnparsedBody(request: IncomingMessage, limit: number): Promise<unknown> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
  if (request.readableEnded || request.destroyed || !/json/i.test(type)) return undefined;
  if (encoding !== 'identity')
    throw new Problem(415, 'MEDIA_TYPE_UNSUPPORTED', 'Send the body as it is, not compressed.');
  const text = (await bytesOf(request, limit)).toString('utf8');
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Problem(400, 'REQUEST_MALFORMED', `The request cannot be read: ${(error as Error).message}.`);
  }
}

function bytesOf(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length <= limit) return void chunks.push(chunk);
      // Whatever else comes is thrown away: whoever sends is to read the answer.
      request.off('data', onData).resume();
      reject(new Problem(413, 'BODY_TOO_LARGE', `The body is longer than ${limit} bytes.`));
    };
    const onGone = (): void =>
      reject(new Problem(400, 'REQUEST_MALFORMED', 'The request ended before its body did.'));
    request
      .on('data', onData)
      .once('end', () => resolve(Buffer.concat(chunks)))
      .once('error', onGone)
      .once('close', onGone);
  });
}
