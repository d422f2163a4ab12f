// Where one scenario is played: a store and a ledger of its own, its consumers and producers, and what is checked when
// all is over.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { examine } from './examine.mjs';
import { latestFacts, Ledger, readLedger, uptime } from './ledger.mjs';
import { keepFolder, makeFolder, removeFolder } from './leftovers.mjs';

export const leaseMs = 1_500;
export const shutdownMs = 2_000;
/** How long enqueueing and other calls may take. */
const timeoutMs = 1_500;

/** So much longer a process may take to end than its app does: this machine has much else to do. */
const exitSlackMs = 1_500;
const drainWithinMs = 60_000;
const storedWithinMs = 30_000;

const common = {
  lease: leaseMs,
  shutdownTimeout: shutdownMs,
  abortMargin: shutdownMs / 2,
  timeout: timeoutMs,
  concurrency: 10,
};

export class Stage {
  folder = makeFolder('chaos');
  /** As in stores/store.mjs. */
  server;
  contents;
  /** What was done, as text → how often. */
  done = new Map();
  /** What a scenario finds wrong by itself. */
  broken = [];
  notes = [];
  /** Told when all is over. */
  onClose = [];
  consumers = [];
  #crew;
  #store;
  #promises;
  #producers = [];
  #members = 0;
  #ledger = new Ledger(this.folder, 'stage');
  /** How late a timer of this process was at most: so busy the machine is. */
  #lateMs = 0;
  #offset = 0;

  /** `backend`: as loaded. `durable`: what the store has answered survives that it is killed. */
  constructor(crew, { makeStore, promises }, { durable = false } = {}) {
    this.#crew = crew;
    this.#promises = promises;
    this.#store = makeStore({ durable });
    this.server = this.#store.server;
    this.contents = this.#store.contents;
  }

  async open() {
    const tickMs = 50;
    let due = uptime() + tickMs;
    const ticker = setInterval(() => {
      this.#lateMs = Math.max(this.#lateMs, uptime() - due);
      due = uptime() + tickMs;
    }, tickMs);
    this.onClose.push(() => clearInterval(ticker));
    await this.server.start();
    this.#offset = await this.#clockOffset();
  }

  did(what, times = 1) {
    this.done.set(what, (this.done.get(what) ?? 0) + times);
  }

  /** Says what must be so. */
  expect(holds, what) {
    if (!holds) this.broken.push({ what, count: 1, examples: [] });
  }

  /** Consumers that have begun a job, and were not told to end. */
  get working() {
    return this.consumers.filter((one) => one.running && one.has('working') && !one.isLeaving);
  }

  facts() {
    return readLedger(this.folder);
  }

  /** Whether it has begun a job after `from`. */
  worksSince({ who }, from) {
    return latestFacts(this.folder, who).some(({ fact, at }) => fact === 'begin' && at > from);
  }

  /** `order`: with `by`, the way to the store. `member`: what the process itself is to be like. */
  consumer(order = {}, member) {
    const consumer = this.#hire('consume', order, member);
    this.consumers.push(consumer);
    return consumer;
  }

  /** How many jobs it is in the middle of that take long. */
  holding({ who }) {
    const before = uptime() - 200;
    const facts = latestFacts(this.folder, who);
    const ended = new Set(facts.filter(({ fact }) => fact === 'end').map(({ token }) => token));
    return facts.filter(({ fact, token, at }) => fact === 'begin' && at < before && !ended.has(token)).length;
  }

  /** Consumers that are ready. */
  async withConsumers(count, order) {
    const consumers = Array.from({ length: count }, () => this.consumer(order));
    await Promise.all(consumers.map((one) => one.said('ready')));
    return consumers;
  }

  async producer(order, member) {
    const producer = this.#hire('produce', order, member);
    this.#producers.push(producer);
    await producer.said('ready');
    return producer;
  }

  /** Jobs that are stored when it resolves, and no others. */
  async enqueue(first) {
    const producer = await this.producer({ rate: 0, first });
    await this.#end(producer);
  }

  /** One that works, as soon as there is one. */
  async anyWorking() {
    return this.until(
      () => this.working[Math.floor(Math.random() * this.working.length)],
      20_000,
      'a consumer works',
    );
  }

  async until(answer, withinMs, what) {
    for (const giveUpAt = uptime() + withinMs; ;) {
      const found = await answer();
      if (found) return found;
      if (uptime() > giveUpAt)
        throw new Error(`Within ${withinMs / 1_000} s it did not come to this: ${what}`);
      await sleep(20);
    }
  }

  /** Lets everything come to its end, and examines what happened. */
  async finish(allowed = {}) {
    for (const producer of this.#producers) if (producer.running) await this.#end(producer);
    await this.#drained();
    const asked = this.consumers.filter((one) => one.running);
    for (const one of asked) one.signal('SIGTERM');
    await Promise.all(asked.map((one) => this.#awaitExit(one)));
    const stored = new Set(await this.contents.ids());
    const waiting = await this.contents.waiting();
    const drift = Math.abs((await this.#clockOffset()) - this.#offset);
    const facts = this.facts();
    const ids = new Set(facts.filter(({ fact }) => fact === 'sent').map(({ id }) => id));
    writeFileSync(join(this.folder, 'ids.json'), JSON.stringify([...ids]));
    const inspector = this.#hire('inspect', {});
    await inspector.said('done');
    await this.#awaitExit(inspector);
    const found = JSON.parse(readFileSync(join(this.folder, 'found.json'), 'utf8'));
    const left = await this.contents.left(stored);
    const exits = this.consumers.map(({ who, exit, signals, resumedAt, stderr }) => ({
      who,
      ...exit,
      signals,
      resumedAt,
      stderr,
    }));
    const direct = { stored, waiting, left, offset: this.#offset, drift };
    const limits = {
      leaseMs,
      exitWithinMs: shutdownMs + exitSlackMs + this.#lateMs,
      refusedWithinMs: timeoutMs + 1_000 + this.#lateMs,
    };
    if (this.#lateMs > 250)
      this.notes.push(`timers came up to ${Math.round(this.#lateMs)} ms late: the machine is busy`);
    const promises = this.#promises;
    const examined = examine({ facts: this.facts(), exits, found, direct, limits, promises, allowed });
    return { ...examined, broken: [...this.broken, ...examined.broken] };
  }

  /** `keep`: the ledger, to be looked at. */
  async close(keep) {
    for (const one of [...this.consumers, ...this.#producers]) if (one.running) one.signal('SIGKILL');
    for (const listener of this.onClose) await listener();
    await this.#store.stop();
    if (keep) keepFolder(this.folder);
    else removeFolder(this.folder);
  }

  #hire(role, order, member) {
    const hired = this.#crew.take(member);
    const who = `${role}-${++this.#members}`;
    hired.onFact = (fact, fields) => this.#ledger.write(fact, { whom: who, ...fields });
    const { by = this.server, ...rest } = order;
    const url = this.server.url(by.host, by.port);
    hired.begin(role, { folder: this.folder, url, who, ...common, ...rest });
    return hired;
  }

  async #end(producer) {
    producer.tell({ stop: true });
    // It goes on until all that it wants to enqueue is stored.
    const giveUp = setTimeout(() => {
      this.expect(false, `${producer.who} could not store all its jobs within 30 s without any fault`);
      producer.signal('SIGKILL');
    }, storedWithinMs);
    await producer.said('done').catch(() => {});
    clearTimeout(giveUp);
    await this.#awaitExit(producer);
    const { code } = producer.exit;
    this.expect(code === 0, `${producer.who} ended with ${code ?? producer.exit.signal}: ${producer.stderr}`);
  }

  /** The clock that decides when a job is due, in milliseconds since the epoch, less that of the machine's uptime. */
  async #clockOffset() {
    const isOfClients = this.#promises.capabilities.clock === 'client';
    const offsets = [];
    for (let look = 0; look < 9; look++) {
      const before = uptime();
      const now = isOfClients ? Date.now() : await this.server.now();
      offsets.push(now - (before + uptime()) / 2);
    }
    return offsets.toSorted((a, b) => a - b)[4];
  }

  /** Whoever is to end by itself and does not is killed, and found by how it ended. */
  async #awaitExit(member) {
    const insist = setTimeout(() => {
      this.expect(false, `${member.who} did not end, and was killed`);
      member.signal('SIGKILL');
    }, shutdownMs + 8_000);
    await member.exited;
    clearTimeout(insist);
  }

  async #drained() {
    const from = uptime();
    let empty = 0;
    while (empty < 2) {
      if (uptime() - from > drainWithinMs) {
        return this.expect(
          false,
          `${await this.contents.waiting()} jobs were not at their end after 60 s without any fault`,
        );
      }
      empty = (await this.contents.waiting()) === 0 ? empty + 1 : 0;
      await sleep(50);
    }
  }
}
