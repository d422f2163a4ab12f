// What jobs are in, as whoever plays a scenario sees it: a server, which a scenario may kill, hold and cut off, and its
// contents, looked at with no code of the package. There is one of these files for each backend.

/**
 * @typedef {object} Server
 * @property {string} name In what is told.
 * @property {boolean} isOwn Whether it may be killed, shut down and held.
 * @property {string} host
 * @property {number} port
 * @property {(host: string, port: number) => string} url How to reach it there, such as through a proxy.
 * @property {() => Promise<void>} start Also again, after `kill()` and `shutdown()`.
 * @property {() => Promise<void>} kill At once, as a crash does; what was answered is there when it starts again.
 * @property {() => Promise<void>} shutdown As an operator does it.
 * @property {(held: boolean) => void} hold It answers nothing, or goes on.
 * @property {(ms: number) => Promise<void>} stall It takes what it is asked, and does it after so long. Resolves by then.
 * @property {string} stalledBy By what it does that, in what is told.
 * @property {() => Promise<number>} now Milliseconds since the epoch by its clock.
 * @property {() => Promise<void>} stop For good.
 */

/**
 * @typedef {object} Contents
 * @property {() => Promise<number>} waiting How many jobs are not at their end.
 * @property {() => Promise<readonly string[]>} ids Of all jobs that are stored.
 * @property {(ids: ReadonlySet<string>) => Promise<readonly string[]>} left With all jobs deleted, what is there and should
 * not be. `ids`: of those that were.
 */

/** The server and its contents, which are `Server` and `Contents`. */
export class Store {
  constructor(server, contents) {
    this.server = server;
    this.contents = contents;
  }

  stop() {
    return this.server.stop();
  }
}
