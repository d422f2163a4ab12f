import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a server, and can drop a connection when a script has run and before it is answered. */
export class Dropper {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #asked = 0;
  #drops = false;
  #leaves = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async before(port: number): Promise<Dropper> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const dropper = new Dropper(server);
    server.on('connection', (near: Socket) => dropper.#join(near, connect(port, '127.0.0.1')));
    return dropper;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Scripts that were asked for so far. */
  get asked(): number {
    return this.#asked;
  }

  /** Drops the connection of the next script but so many, once. */
  dropNext(leave = 0): void {
    this.#drops = true;
    this.#leaves = leave;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #join(near: Socket, far: Socket): void {
    let isDoomed = false;
    near.on('data', (data: Buffer) => {
      if (data.includes('evalsha')) {
        this.#asked++;
        if (this.#drops && this.#leaves-- === 0) {
          this.#drops = false;
          isDoomed = true;
        }
      }
      far.write(data);
    });
    far.on('data', (data: Buffer) => {
      if (isDoomed) near.destroy();
      else near.write(data);
    });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
