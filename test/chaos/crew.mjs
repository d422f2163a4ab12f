// The processes of a scenario. Loading Nest takes a processor half a second: spares are started ahead, and know nothing
// yet of who they are to be.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { own } from './leftovers.mjs';
import { uptime } from './ledger.mjs';

const program = fileURLToPath(new URL('member.mjs', import.meta.url));
const clockShift = new URL('clock-shift.mjs', import.meta.url).href;

export class Member {
  who = '';
  role = '';
  /** What was sent to it, and when. */
  signals = [];
  /** Since when it goes on, after it was stopped. */
  resumedAt = 0;
  /** Told of what happens to it. */
  onFact = () => {};
  #child;
  #stderr = [];
  #said = new Map();
  #listeners = new Map();
  exited;
  exit;

  /** `backend`: the one that it is to load. */
  constructor(backend, { clockShiftMs } = {}) {
    const shifted = clockShiftMs === undefined ? [] : [`--import=${clockShift}`];
    const env = {
      ...process.env,
      CHAOS_BACKEND: backend,
      CHAOS_CLOCK_SHIFT: String(clockShiftMs ?? 0),
    };
    const args = ['--no-warnings', '--enable-source-maps', ...shifted, program];
    const child = own(spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'pipe'] }));
    this.#child = child;
    // Its end may come before what is written to it.
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line));
    createInterface({ input: child.stderr }).on('line', (line) => this.#stderr.push(line));
    this.exited = once(child, 'exit').then(([code, signal]) => {
      this.exit = { code, signal, at: uptime() };
      this.onFact('exit', { code, signal });
      this.#listeners.forEach((listeners) => listeners.forEach(({ reject }) => reject(this.#gone())));
      return this.exit;
    });
  }

  get pid() {
    return this.#child.pid;
  }

  get running() {
    return this.exit === undefined;
  }

  get isLeaving() {
    return this.signals.some(({ name }) => name === 'SIGTERM' || name === 'SIGKILL');
  }

  get stderr() {
    return this.#stderr.slice(-20).join('\n');
  }

  has(word) {
    return this.#said.has(word);
  }

  /** Resolves with what it said after `word`; rejects where it ends without. */
  said(word) {
    if (this.#said.has(word)) return Promise.resolve(this.#said.get(word));
    if (!this.running) return Promise.reject(this.#gone());
    return new Promise((resolve, reject) => {
      this.#listeners.set(word, [...(this.#listeners.get(word) ?? []), { resolve, reject }]);
    });
  }

  begin(role, order) {
    this.role = role;
    this.who = order.who;
    this.#send({ role, ...order });
  }

  tell(message) {
    this.#send(message);
  }

  signal(name) {
    this.signals.push({ name, at: uptime() });
    if (name === 'SIGCONT') this.resumedAt = uptime();
    this.onFact('signal', { name });
    this.#child.kill(name);
  }

  #send(message) {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  #hear(line) {
    const [, word, value] = /^(\w+)(?: (.*))?$/.exec(line) ?? [];
    if (word === undefined) return;
    const said = value === undefined ? undefined : JSON.parse(value);
    this.#said.set(word, said);
    this.#listeners.get(word)?.forEach(({ resolve }) => resolve(said));
    this.#listeners.delete(word);
  }

  #gone() {
    const { code, signal } = this.exit;
    return new Error(`${this.role} ${this.who} ended with ${code ?? signal}: ${this.stderr}`);
  }
}

/** Spares, shared by all scenarios of a backend. They are started one after another, so as to keep nobody from work for long. */
export class Crew {
  #backend;
  #spares = [];
  #wanted = 0;
  #starting = 0;
  #filling;

  constructor(backend) {
    this.#backend = backend;
  }

  /** From now on so many are to be there, and are started where they are not. */
  want(count) {
    this.#wanted = count;
    this.#filling ??= this.#fill().finally(() => (this.#filling = undefined));
    // Whoever waits for them is told.
    this.#filling.catch(() => {});
  }

  /** Resolves once so many are there. */
  async warm(count) {
    while (this.#spares.length < count) {
      this.want(Math.max(this.#wanted, count));
      // Nobody else works meanwhile.
      await Promise.all([this.#filling, this.#fill()]);
    }
  }

  take(options) {
    if (options?.clockShiftMs !== undefined) return new Member(this.#backend, options);
    const spare = this.#spares.shift() ?? new Member(this.#backend);
    this.want(this.#wanted);
    return spare;
  }

  /** Nobody is wanted any more. */
  async dismiss() {
    this.#wanted = 0;
    await this.#filling?.catch(() => {});
    const spares = this.#spares.splice(0);
    for (const spare of spares) spare.signal('SIGKILL');
    await Promise.all(spares.map(({ exited }) => exited));
  }

  async #fill() {
    while (this.#spares.length + this.#starting < this.#wanted) {
      this.#starting++;
      const spare = new Member(this.#backend);
      await spare.said('warm').finally(() => this.#starting--);
      this.#spares.push(spare);
    }
  }
}
