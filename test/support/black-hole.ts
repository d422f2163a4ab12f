import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** All; what the server says; all on connections that only listen, since they have subscribed; nothing. */
type Swallowed = 'all' | 'answers' | 'listening' | 'nothing';

/**
 * Stands between a client and a server, and can swallow what they say to each other: the connections stay, and nobody is
 * told. That is what a firewall does that has forgotten a connection, or a host that is gone.
 */
export class BlackHole {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #swallows: Swallowed = 'nothing';
  /** Connections that were made so far. */
  connections = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Before the server at that port. */
  static async before(port: number): Promise<BlackHole> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const hole = new BlackHole(server);
    server.on('connection', (near: Socket) => hole.#join(near, connect(port, '127.0.0.1')));
    return hole;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** From now on nothing gets through. Connections that are made meanwhile are accepted, and as silent. */
  open(what: 'all' | 'listening' = 'all'): void {
    this.#swallows = what;
  }

  /** What is asked arrives, and what is answered does not. */
  swallowAnswers(): void {
    this.#swallows = 'answers';
  }

  /** New connections get through; those that were swallowed stay silent. */
  shut(): void {
    this.#swallows = 'nothing';
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #join(near: Socket, far: Socket): void {
    this.connections++;
    let listens = false;
    let isLost = false;
    const swallows = (from: Socket): boolean => {
      const all = this.#swallows === 'all' || (this.#swallows === 'listening' && listens);
      isLost ||= all || (this.#swallows === 'answers' && from === far);
      return isLost;
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (data: Buffer) => {
        listens ||= from === near && data.includes('subscribe');
        if (!swallows(from)) to.write(data);
      });
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        if (!swallows(from)) to.destroy();
      });
    }
  }
}
