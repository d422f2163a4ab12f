import { describe, expect, it } from 'vitest';
import { type Broken, examine, type Figures } from './examine.mjs';

type Fact = { fact: string; who: string; at: number } & Record<string, unknown>;

/** What the inspector says of a job. */
interface Found {
  state: string;
  cause?: string;
  failures: number;
  deaths: number;
  result?: { token: string };
}

/** A ledger, and what was found in the end. By default: one job that was enqueued, run once and completed. */
class World {
  facts: Fact[] = [
    { fact: 'sent', who: 'p', at: 100, id: 'a', payload: { ms: 5 }, delay: 0 },
    { fact: 'accepted', who: 'p', at: 101, id: 'a', status: 'enqueued', tries: 1, by: 'a' },
    { fact: 'claimed', who: 'c1', at: 102, jobs: [['a', '7', 0]] },
    { fact: 'begin', who: 'c1', at: 103, id: 'a', token: '7', attempt: 1, dueAt: 1_100 },
    { fact: 'end', who: 'c1', at: 108, id: 'a', token: '7', how: 'returned' },
    {
      fact: 'settled',
      who: 'c1',
      at: 109,
      settled: [{ id: 'a', token: '7', kind: 'completed', accepted: true }],
    },
  ];
  jobs: Record<string, Found | undefined> = {
    a: { state: 'completed', failures: 0, deaths: 0, result: { token: '7' } },
  };
  counts = { ready: 0, scheduled: 0, active: 0, dead: 0, throughput: [{ at: 0, completed: 1, failed: 0 }] };
  cleaned = { ready: 0, scheduled: 0, active: 0, dead: 0 };
  lists: Record<string, string[]> = { completed: ['a'], dead: [] };
  exits: object[] = ['c1', 'c2'].map((who) => this.exit(who, 'SIGTERM', 10_000, 10_050));
  stored = new Set(['a']);
  left: string[] = [];
  waiting = 0;
  capabilities = { clock: 'backend' };
  countedWithinMs = 0;
  claimOf: (token: string) => bigint = BigInt;
  allowed: object = {};

  exit(who: string, name: string, asked: number, at: number): object {
    return { who, code: null, signal: name, at, signals: [{ name, at: asked }], resumedAt: 0, stderr: '' };
  }

  /** A second run of the job beside the first one, whose end was refused. */
  overlap(): this {
    this.facts = [
      ...this.facts.slice(0, 4),
      { fact: 'begin', who: 'c2', at: 2_000, id: 'a', token: '9', attempt: 1, dueAt: 1_100 },
      { fact: 'abort', who: 'c1', at: 2_010, id: 'a', token: '7', reason: 'lease-lost' },
      { fact: 'end', who: 'c1', at: 2_011, id: 'a', token: '7', how: 'aborted' },
      { fact: 'end', who: 'c2', at: 2_100, id: 'a', token: '9', how: 'returned' },
      {
        fact: 'settled',
        who: 'c2',
        at: 2_101,
        settled: [{ id: 'a', token: '9', kind: 'completed', accepted: true }],
      },
    ];
    this.jobs['a'] = { state: 'completed', failures: 0, deaths: 1, result: { token: '9' } };
    return this;
  }

  /** The same, and the first one was killed. */
  takeover(): this {
    this.overlap();
    this.facts = [
      ...without(this, 'abort').filter(({ fact, who }) => fact !== 'end' || who !== 'c1'),
      { fact: 'claimed', who: 'c2', at: 1_999, jobs: [['a', '9', 1]] },
    ];
    this.exits = [this.exit('c1', 'SIGKILL', 500, 510), this.exit('c2', 'SIGTERM', 10_000, 10_050)];
    return this;
  }

  get broken(): string[] {
    return this.examined.broken.map(({ what }) => what);
  }

  get examined(): { readonly broken: readonly Broken[]; readonly figures: Figures } {
    const { facts, exits, jobs, counts, cleaned, lists, stored, left, waiting, allowed } = this;
    const { capabilities, countedWithinMs } = this;
    const found = { jobs, counts, cleaned, lists };
    const direct = { stored, left, waiting, offset: 1_000, drift: 0 };
    const limits = { leaseMs: 1_000, exitWithinMs: 3_000, refusedWithinMs: 2_000 };
    const promises = { capabilities, countedWithinMs, claimOf: this.claimOf };
    return examine({ facts, exits, found, direct, limits, promises, allowed });
  }
}

const fact = (world: World, name: string, nth = 0): Fact =>
  world.facts.filter((one) => one.fact === name)[nth]!;
const without = (world: World, name: string): Fact[] => world.facts.filter((one) => one.fact !== name);

describe('The examination of a ledger', () => {
  it('finds nothing wrong with a job that ran once, nor with one that ran again after its lease was lost', () => {
    expect(new World().broken).toEqual([]);
    expect(new World().overlap().broken).toEqual([]);
    expect(new World().takeover().broken).toEqual([]);
  });

  const breaks: Record<string, (world: World) => void> = {
    'a job that is lost': (world) => (world.jobs['a'] = undefined),
    'a job that is not at its end': (world) => (world.jobs['a']!.state = 'ready'),
    'a completed job that is something else in the end': (world) =>
      (world.jobs['a'] = { state: 'dead', cause: 'exhausted', failures: 0, deaths: 0 }),
    'an end that was accepted twice': (world) =>
      world.facts.push({ ...fact(world, 'settled'), at: 120, who: 'c2' }),
    'a completion by a run that never returned': (world) => (fact(world, 'end')['how'] = 'threw'),
    'a completion that another one has written over': (world) => {
      world.overlap().facts.push({
        fact: 'settled',
        who: 'c1',
        at: 2_000,
        settled: [{ id: 'a', token: '7', kind: 'completed', accepted: true }],
      });
    },
    'a run whose lease was lost, and that was believed': (world) => {
      world.overlap().facts.push({
        fact: 'settled',
        who: 'c1',
        at: 2_012,
        settled: [{ id: 'a', token: '7', kind: 'released', accepted: true }],
      });
    },
    'two runs at once, and no lease was lost': (world) => (world.overlap().facts = without(world, 'abort')),
    'a loser that was not aborted in time': (world) => {
      world.overlap();
      fact(world, 'abort').at = 2_600;
      fact(world, 'end').at = 2_601;
    },
    'a claim that was run twice': (world) => world.facts.push({ ...fact(world, 'begin'), at: 105 }),
    'a run that has no end': (world) => {
      world.facts = without(world, 'end');
      world.exits = [];
    },
    'a run after the end of its job': (world) => {
      world.facts.push(
        { fact: 'begin', who: 'c2', at: 130, id: 'a', token: '8', attempt: 1, dueAt: 1_100 },
        { fact: 'end', who: 'c2', at: 131, id: 'a', token: '8', how: 'returned' },
      );
    },
    'an attempt that is counted wrong': (world) => (fact(world, 'begin')['attempt'] = 2),
    'attempts that are not the failures': (world) => (world.jobs['a']!.failures = 1),
    'a job that is dead for no reason': (world) => {
      world.facts = without(world, 'settled');
      world.jobs['a'] = { state: 'dead', cause: 'exhausted', failures: 0, deaths: 0 };
    },
    'a duplicate that ran': (world) => (fact(world, 'accepted')['status'] = 'duplicate'),
    'a unique key that two jobs held': (world) => {
      fact(world, 'sent')['key'] = 'one';
      world.facts.push(
        { fact: 'sent', who: 'p', at: 101, id: 'b', payload: {}, delay: 0, key: 'one' },
        { fact: 'accepted', who: 'p', at: 102, id: 'b', status: 'enqueued', tries: 1, by: 'b' },
        // The other one, which was stored at 100, ends at 108.
        { fact: 'begin', who: 'c2', at: 130, id: 'b', token: '8', attempt: 1, dueAt: 1_102 },
        { fact: 'end', who: 'c2', at: 131, id: 'b', token: '8', how: 'returned' },
      );
      world.jobs['b'] = { state: 'completed', failures: 0, deaths: 0, result: { token: '8' } };
    },
    'a run before its time': (world) => (fact(world, 'begin')['dueAt'] = 1_110),
    'an enqueueing that failed otherwise': (world) =>
      world.facts.push({ fact: 'refused', who: 'p', at: 100, id: 'a', ids: ['a'], code: 'OTHER', ms: 5 }),
    'an enqueueing that did not fail in time': (world) =>
      world.facts.push({
        fact: 'refused',
        who: 'p',
        at: 100,
        id: 'a',
        ids: ['a'],
        code: 'JOB_ENQUEUE_FAILED',
        ms: 9e3,
      }),
    'an exit that came late': (world) => (world.exits = [world.exit('c1', 'SIGTERM', 10_000, 14_000)]),
    'an exit not by the signal': (world) =>
      (world.exits = [{ ...world.exit('c1', 'SIGTERM', 10_000, 10_050), code: 0, signal: null }]),
    'a process that ended by itself': (world) =>
      (world.exits = [
        { ...world.exit('c1', 'SIGTERM', 10_000, 10_050), code: 1, signal: null, signals: [] },
      ]),
    'an error that nobody caught': (world) =>
      world.facts.push({ fact: 'crash', who: 'c1', at: 110, error: 'Error' }),
    'a count that is not 0 in the end': (world) => (world.counts.active = 1),
    'a wrong count': (world) => (world.counts.dead = 1),
    'a list that is not complete': (world) => (world.lists['completed'] = []),
    'a job that is listed twice': (world) => (world.lists['completed'] = ['a', 'a']),
    'a throughput that is not the completions': (world) => (world.counts.throughput = []),
    'a queue that is not empty in the store': (world) => (world.waiting = 1),
    'a job that is not in the store': (world) => world.stored.clear(),
    'a count that is not 0 with all jobs deleted': (world) => (world.cleaned.dead = 1),
    'something that is left behind': (world) => world.left.push('{chaos}:dead:work (zset, 1)'),
    'a lease that was lost for nothing': (world) => (world.overlap().allowed = { keeps: true }),
    'a job of a killed process that was taken over late': (world) =>
      (world.takeover().allowed = { takenOverWithinMs: 1_400 }),
    'a delayed job that came late': (world) => {
      fact(world, 'sent')['delay'] = 1;
      fact(world, 'begin').at = 106;
      world.allowed = { latestMs: 2 };
    },
  };

  it.each(Object.entries(breaks))('finds %s', (what, act) => {
    const world = new World();
    act(world);
    expect(world.broken).toContain(what);
  });

  it('lets a late loser pass where it could not hear of it sooner', () => {
    const world = new World();
    breaks['a loser that was not aborted in time']!(world);
    world.allowed = { resumedAt: () => 2_590 };
    expect(world.broken).toEqual([]);
  });

  it('tells why a job ran again, and how long it waited for somebody after a death', () => {
    expect(new World().overlap().examined.figures.again).toEqual(new Map([['leases lost', 1]]));
    const { again, takeovers } = new World().takeover().examined.figures;
    expect(again).toEqual(new Map([['processes killed', 1]]));
    expect(takeovers).toEqual([1_499]);
  });

  it('goes by what a token says of its claim', () => {
    const world = new World().overlap();
    world.claimOf = (token) => -BigInt(token);
    // The other way round, it is the loser that was believed.
    expect(world.broken).toContain('a run whose lease was lost, and that was believed');
  });

  describe('where each process counts for itself', () => {
    const uncounted = (): World => {
      const world = new World();
      world.counts.throughput = [];
      world.countedWithinMs = 1_000;
      return world;
    };
    const what = 'a throughput that is not the completions';

    it('lets what one counted that was killed right then be in no count', () => {
      const world = uncounted();
      expect(world.broken).toContain(what);
      world.exits = [world.exit('c1', 'SIGKILL', 1_500, 1_510)];
      expect(world.broken).toEqual([]);
      world.exits = [world.exit('c1', 'SIGKILL', 2_500, 2_510)];
      expect(world.broken).toContain(what);
      world.exits = [world.exit('c2', 'SIGKILL', 1_500, 1_510)];
      expect(world.broken).toContain(what);
    });

    it('finds what was counted twice', () => {
      const world = uncounted();
      world.counts.throughput = [{ at: 0, completed: 2, failed: 0 }];
      expect(world.broken).toContain(what);
    });
  });

  it('knows that a job which is due by the clock of a client may have been stored later', () => {
    const what = 'a unique key that two jobs held';
    const world = new World();
    breaks[what]!(world);
    world.capabilities = { clock: 'client' };
    // At 102 the second one is known to be stored, at 108 the first one ends.
    expect(world.broken).toContain(what);
    fact(world, 'accepted', 1).at = 120;
    expect(world.broken).not.toContain(what);
  });

  it('allows for clocks that are off one another, where those decide', () => {
    const world = new World();
    breaks['a run before its time']!(world);
    expect(world.broken).toEqual(['a run before its time']);
    world.allowed = { skewMs: 10 };
    expect(world.broken).toEqual([]);
  });
});
