// What is done to the system, whatever its backend is. Each scenario is given a stage, plays on it, and may answer what is
// to be allowed for when it is examined. `times`: how often, in the short and in the long form. `unfit`: why it is not
// played with a backend of these capabilities, or on this server.
import { setTimeout as sleep } from 'node:timers/promises';
import { uptime } from './ledger.mjs';
import { Proxy } from './proxy.mjs';
import { leaseMs } from './stage.mjs';

/** Jobs that leave nothing behind would be stored anew by a producer that repeats an enqueueing. */
const repeats = { gone: 0 };
/** Without those that take longer than a process is given to end. */
const quick = { deaf: 0, long: 0 };
const pastLeaseMs = leaseMs * 2;
/** So many spares are loaded ahead: no machine of two processors starts five of them a second. */
const atOnce = 25;
/** A consumer that can reach the store again works again within so long. */
const recoverWithinMs = 8_000;

/** Every `everyMs`, and later only where nobody works who could be hit. */
async function every(everyMs, times, act) {
  let next = uptime();
  for (let turn = 0; turn < times; turn++) {
    await sleep(Math.max(0, next - uptime()));
    next = Math.max(next, uptime() - everyMs) + everyMs;
    await act(turn);
  }
}

const works = (stage, consumer, from, what = 'works again') =>
  stage.until(() => stage.worksSince(consumer, from), recoverWithinMs, `${consumer.who} ${what}`);

/** The one of these that is in the middle of jobs that take long, as soon as there is one: it is given some. */
async function midway(stage, producer, consumers) {
  for (let tries = 0; tries < 20; tries++) {
    const found = consumers.find((one) => stage.holding(one) > 0);
    if (found !== undefined) return found;
    producer.tell({ jobs: Array.from({ length: 3 }, () => ({ payload: { ms: pastLeaseMs + leaseMs } })) });
    await sleep(400);
  }
  throw new Error('No consumer took jobs that take long');
}

const emptied = (stage) =>
  stage.until(async () => (await stage.contents.waiting()) === 0, 60_000, 'all jobs are at their end');

/** Each stopped process hears of what it has lost when it goes on, and not before. */
const resumed = (stage) => {
  const at = new Map(stage.consumers.map(({ who, resumedAt }) => [who, resumedAt]));
  return { resumedAt: (who) => at.get(who) ?? 0 };
};

const notOurs =
  (what) =>
  (capabilities, { isOwn, name }) =>
    isOwn ? undefined : `this ${name} is not ours to ${what}`;
const noThread = ({ leaseThread }) => (leaseThread ? undefined : 'its main loop renews the leases');

const byBackend = ({ clock }) => (clock === 'client' ? undefined : 'it goes by no clock of theirs');

export const scenarios = {
  sigkill: {
    about: 'SIGKILL of one of three consumers every 200 ms',
    times: [8, 100],
    spares: (times) => 4 + Math.min(times, atOnce),
    async play(stage, times, crew) {
      await stage.withConsumers(3);
      await stage.producer({ rate: 150, weights: quick });
      for (let left = times; left > 0; left -= atOnce) {
        const round = Math.min(atOnce, left);
        await crew.warm(round);
        await every(200, round, async () => {
          const victim = await stage.anyWorking();
          victim.signal('SIGKILL');
          stage.did('consumers killed');
          stage.consumer();
        });
      }
      // A lease, and what it takes until somebody looks: much longer than it should take, and less than to the end.
      return { takenOverWithinMs: leaseMs * 2 + 7_000 };
    },
  },

  sigterm: {
    about: 'SIGTERM of one of three consumers under load',
    times: [8, 100],
    spares: (times) => 4 + Math.min(times, atOnce),
    async play(stage, times, crew) {
      await stage.withConsumers(3);
      await stage.producer({ rate: 100 });
      for (let left = times; left > 0; left -= atOnce) {
        const round = Math.min(atOnce, left);
        await crew.warm(round);
        await every(300, round, async () => {
          const victim = await stage.anyWorking();
          victim.signal('SIGTERM');
          stage.did('consumers told to end');
          stage.consumer();
        });
      }
    },
  },

  'store-restart': {
    about:
      'the store killed or shut down, and started again; it keeps what it has answered (Redis: AOF, always)',
    times: [4, 20],
    durable: true,
    unfit: notOurs('kill'),
    async play(stage, times) {
      await stage.withConsumers(3);
      await stage.producer({ rate: 100, weights: repeats });
      await stage.producer({ rate: 100, weights: repeats });
      for (let turn = 0; turn < times; turn++) {
        await sleep(400 + Math.random() * 400);
        // Now and then somebody is just about to connect.
        if (turn % 4 < 2) {
          stage.consumer();
          await sleep(Math.random() * 150);
        }
        const way = turn % 2 === 0 ? 'kill' : 'shutdown';
        await stage.server[way]();
        stage.did(`${way === 'kill' ? 'SIGKILL' : 'shutdown'} of ${stage.server.name}`);
        // Now and then for longer than an enqueueing waits.
        await sleep(turn % 4 === 2 ? 2_000 : Math.random() * 400);
        await stage.server.start();
      }
      await sleep(500);
      const again = stage.facts().filter(({ fact }) => fact === 'refused').length;
      stage.expect(again > 0, 'no enqueueing had to be repeated: the store was never away for long enough');
    },
  },

  'store-held': {
    about:
      'the store does nothing for two leases: it lets all wait that it is asked, and it is stopped (SIGSTOP)',
    times: [2, 8],
    unfit: notOurs('hold'),
    async play(stage, times) {
      await stage.withConsumers(3);
      await stage.producer({ rate: 100, weights: { ...repeats, long: 6 } });
      for (let turn = 0; turn < times; turn++) {
        await sleep(600);
        if (turn % 2 === 0) {
          stage.did(stage.server.stalledBy);
          await stage.server.stall(pastLeaseMs);
        } else {
          stage.server.hold(true);
          stage.did(`SIGSTOP of ${stage.server.name}`);
          await sleep(pastLeaseMs);
          stage.server.hold(false);
        }
        const from = uptime();
        for (const consumer of stage.working) await works(stage, consumer, from);
      }
      return { loses: true };
    },
  },

  'consumer-stopped': {
    about: 'a consumer stopped (SIGSTOP) for two leases, and continued',
    times: [1, 10],
    async play(stage, times) {
      await stage.withConsumers(3);
      const producer = await stage.producer({ rate: 60, weights: quick });
      for (let turn = 0; turn < times; turn++) {
        await sleep(800);
        // Of what it holds some must go on when it does.
        const victim = await midway(stage, producer, stage.working);
        victim.signal('SIGSTOP');
        stage.did('SIGSTOP of a consumer');
        await sleep(pastLeaseMs);
        victim.signal('SIGCONT');
        await works(stage, victim, uptime());
      }
      return { ...resumed(stage), loses: true, aborts: true };
    },
  },

  'loop-blocked': {
    about: 'event loop blocked for two leases; the lease thread keeps the job',
    times: [1, 5],
    unfit: noThread,
    async play(stage, times) {
      await stage.withConsumers(2);
      const first = Array.from({ length: times }, () => ({ payload: { blockMs: pastLeaseMs } }));
      await stage.enqueue(first);
      stage.did('event loops blocked', times);
      await emptied(stage);
      const runs = stage.facts().filter(({ fact }) => fact === 'begin').length;
      stage.expect(
        runs === times,
        `${times} blocking jobs ran ${runs} times: the thread did not keep the leases`,
      );
      return { resumedAt: () => Infinity };
    },
  },

  'loop-blocked-threadless': {
    about: 'the same with no thread (RedisJobBackend: an injected client), so that another one takes the job',
    times: [1, 5],
    play: (stage, times) => playBlocked(stage, times, { order: { threadless: true }, givenBackMs: leaseMs }),
  },

  'loop-hung': {
    about: 'event loop blocked for longer than blockedLimit: the thread gives the job back',
    times: [1, 5],
    unfit: noThread,
    play: (stage, times) =>
      playBlocked(stage, times, { order: { blockedLimit: leaseMs }, givenBackMs: leaseMs * 2 }),
  },

  clocks: {
    about: 'clocks of consumers and producers 5 minutes ahead and behind',
    times: [1, 1],
    unfit: ({ clock }) =>
      clock === 'backend' ? undefined : 'it goes by these clocks, which are to agree to within the lease',
    async play(stage) {
      await playClocks(stage, 300_000, 2_500);
      return { latestMs: 3_000 };
    },
  },

  'clocks-near': {
    about: 'clocks of consumers and producers that are apart by less than a lease is ever without renewal',
    times: [1, 8],
    unfit: byBackend,
    async play(stage, times) {
      const apartMs = leaseMs * 0.4;
      await playClocks(stage, apartMs / 2, times * 2_500);
      return { skewMs: apartMs, keeps: true };
    },
  },

  'clocks-apart': {
    about: 'clocks of consumers and producers that are apart by almost a lease',
    times: [1, 8],
    unfit: byBackend,
    async play(stage, times) {
      const apartMs = leaseMs * 0.9;
      await playClocks(stage, apartMs / 2, times * 2_500);
      return { skewMs: apartMs };
    },
  },

  'black-hole': {
    about: 'nothing gets through to the store and back for two leases; then all of it does, late',
    times: [1, 5],
    play: (stage, times) => playBlackHole(stage, times, 'heal'),
  },

  'black-hole-dead': {
    about: 'the same, and connections of before stay dead',
    times: [1, 5],
    play: (stage, times) => playBlackHole(stage, times, 'healForNew'),
  },

  poison: {
    about: 'a job that kills its process',
    times: [1, 3],
    spares: (times) => 4 + times * 3,
    async play(stage, times) {
      await stage.withConsumers(2);
      await stage.producer({ rate: 60, weights: quick });
      for (let turn = 0; turn < times; turn++) {
        // Those that are claimed with it each time, and that have done nothing.
        const bystanders = Array.from({ length: 8 }, () => ({ payload: { ms: 300 } }));
        await stage.enqueue([...bystanders, { payload: { poison: true } }]);
        const dead = () => stage.consumers.filter((one) => one.exit?.signal === 'SIGKILL').length;
        for (let deaths = 1; deaths <= 3; deaths++) {
          const all = turn * 3 + deaths;
          await stage.until(
            () => dead() >= all,
            leaseMs * 5,
            `the poisoned job has killed ${deaths} processes`,
          );
          stage.did('processes killed by a job');
          stage.consumer();
        }
        // Those that ran beside it come through: one death more, by another poisoned job, would be their last.
        await sleep(leaseMs * 2);
      }
      const facts = stage.facts();
      const poisoned = new Set(facts.filter(({ poison }) => poison).map(({ id }) => id));
      const quarantined = facts
        .filter(({ fact }) => fact === 'settled')
        .flatMap(({ settled }) => settled)
        .filter(({ cause, accepted }) => cause === 'quarantined' && accepted);
      const innocent = quarantined.filter(({ id }) => !poisoned.has(id));
      stage.expect(
        innocent.length === 0,
        `jobs are quarantined that only ran beside a poisoned one: ${innocent.map(({ id }) => id).join()}`,
      );
      stage.expect(
        quarantined.length - innocent.length === times,
        `${quarantined.length - innocent.length} of ${times} poisoned jobs are quarantined`,
      );
      const deaths = stage.consumers.filter((one) => one.exit?.signal === 'SIGKILL').length;
      stage.expect(deaths === times * 3, `${times} poisoned jobs killed ${deaths} processes, and not 3 each`);
    },
  },
};

/** Consumers and producers whose clocks are right, and off by so much ahead and behind, for so long. */
async function playClocks(stage, offMs, forMs) {
  const shifts = [offMs, -offMs, undefined];
  const consumers = shifts.map((clockShiftMs) => stage.consumer({}, { clockShiftMs }));
  await Promise.all(consumers.map((one) => one.said('ready')));
  const weights = { ...quick, dated: 0 };
  await Promise.all(shifts.map((clockShiftMs) => stage.producer({ rate: 40, weights }, { clockShiftMs })));
  stage.did('processes with a clock that is wrong', 4);
  await sleep(forMs);
}

/** A job blocks the loop of its process until after it was given to another process, in which it does not. */
async function playBlocked(stage, times, { order, givenBackMs }) {
  for (let turn = 0; turn < times; turn++) {
    const [blocked] = await stage.withConsumers(1, order);
    await stage.enqueue([{ payload: { blockMs: givenBackMs + leaseMs * 2 } }]);
    await works(stage, blocked, 0, 'has begun to block');
    const begun = uptime();
    stage.did('event loops blocked');
    const [other] = await stage.withConsumers(1, { ...order, blocks: false });
    await works(stage, other, begun, 'is given the job of one that is blocked');
    const ms = Math.round(uptime() - begun);
    stage.notes.push(`given to another after ${ms} ms`);
    // It looks for jobs a few times in a lease.
    stage.expect(
      ms < givenBackMs + leaseMs,
      `the job of a blocked process was given to another after ${ms} ms only`,
    );
    await emptied(stage);
    for (const consumer of [blocked, other]) {
      consumer.signal('SIGTERM');
      await consumer.exited;
    }
  }
  return { resumedAt: () => Infinity, loses: true };
}

/** One consumer and one producer are cut off, and two consumers are not. */
async function playBlackHole(stage, times, heal) {
  const proxy = new Proxy(stage.server);
  await proxy.open();
  stage.onClose.push(() => proxy.close());
  const [cutOff] = await stage.withConsumers(1, { by: proxy });
  await stage.withConsumers(2);
  const producer = await stage.producer({ rate: 60, weights: quick });
  await stage.producer({ rate: 20, weights: { ...quick, ...repeats }, by: proxy });
  for (let turn = 0; turn < times; turn++) {
    await works(stage, cutOff, uptime(), 'works');
    await midway(stage, producer, [cutOff]);
    proxy.block();
    stage.did('black holes');
    await sleep(pastLeaseMs);
    proxy[heal]();
    const healed = uptime();
    // What it was sent before may still bring it jobs: it must go on to get some.
    await sleep(300);
    await works(stage, cutOff, uptime(), 'works again after a black hole');
    stage.notes.push(`worked again after ${Math.round(uptime() - healed)} ms`);
  }
  return { loses: true, aborts: true };
}
