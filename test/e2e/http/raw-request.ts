import { connect } from 'node:net';

export interface RawReply {
  /** 0 where the connection was closed without an answer. */
  readonly status: number;
  readonly text: string;
}

/** Sends these very bytes, and reads until the server closes the connection, or says nothing more for a while. */
export function sendRaw(url: string, bytes: string | Buffer, patienceMs = 2_000): Promise<RawReply> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = '';
    const end = (): void => {
      socket.destroy();
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text });
    };
    socket
      .setTimeout(patienceMs, end)
      .on('connect', () => socket.write(bytes))
      .on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8');
      })
      .on('close', end)
      .on('error', (error: NodeJS.ErrnoException) => {
        // The server may have had enough while we still sent.
        if (error.code === 'ECONNRESET' || error.code === 'EPIPE') end();
        else reject(error);
      });
  });
}
