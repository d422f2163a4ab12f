import { join } from 'node:path';
import { getJobQueueToken, type JobQueue, JobsModule } from 'nestjs-worker';
import { expect, it } from 'vitest';
import { kinds, newQueueName, SomeStores } from '../../integrations/bullmq/some-stores.js';
import { bootContext } from '../../support/nest.js';
import { bootBullApp } from './bullmq-app.js';
import { compileFixtures, type FixtureProcess, startProgram } from '../../support/run-fixture.js';

const stores = new SomeStores();
const soon = { timeout: 10_000, interval: 20 };

/** A process that works on the queue of each store once it is told to. */
function start(queue: string, concurrency: number): FixtureProcess {
  const program = join(compileFixtures('test/e2e/jobs/bullmq-programs'), 'app.js');
  const [redis, postgres] = [{ redis: stores.redis.url }, { postgres: stores.postgres.url }];
  return startProgram(program, { queue, concurrency, stores: { redis, postgres } });
}

async function begin(program: FixtureProcess): Promise<void> {
  await program.line('loaded');
  program.kill('SIGUSR2');
  await program.line('booted');
}

/** The queue of each store, as a process sees it that has no handler. */
async function queuesOf(name: string): Promise<readonly JobQueue[]> {
  return Promise.all(
    kinds.map(async (kind) => {
      const backend = stores.get(kind).backend();
      const imports = [JobsModule.forRoot({ backend }), JobsModule.registerQueue({ name })];
      return (await bootContext({ imports })).get<JobQueue>(getJobQueueToken(name));
    }),
  );
}

const count = (programs: readonly FixtureProcess[], text: string): number =>
  programs.flatMap(({ lines }) => lines).filter((line) => line.includes(text)).length;

it('a job of a process that was killed is run by the next one, and not any more after the third', async () => {
  const name = newQueueName();
  const programs = Array.from({ length: 4 }, () => start(name, 1));
  const queues = await queuesOf(name);
  const ids = await Promise.all(queues.map(async (queue) => (await queue.enqueue(0)).id));
  const jobs = () => Promise.all(queues.map((queue, index) => queue.get(ids[index]!)));
  for (const [deaths, program] of programs.slice(0, 3).entries()) {
    await begin(program);
    for (const [index, kind] of kinds.entries()) await program.line(`${kind} began ${ids[index]}`);
    const died = Array.from({ length: deaths }, () => ({ outcome: 'died', attempt: 1 }));
    expect(await jobs()).toMatchObject(
      kinds.map(() => ({ state: 'active', deaths, history: died, failures: 0 })),
    );
    program.kill('SIGKILL');
    expect(await program.exit()).toMatchObject({ signal: 'SIGKILL' });
  }
  await begin(programs[3]!);
  const quarantined = { state: 'dead', cause: 'quarantined', deaths: 3, failures: 0 };
  await expect.poll(jobs, soon).toMatchObject(kinds.map(() => quarantined));
  expect(count(programs, 'began')).toBe(3 * kinds.length);
  expect(count(programs, 'ended')).toBe(0);
  for (const kind of kinds) {
    const job = await stores.get(kind).queue(name).getJob(ids[kinds.indexOf(kind)]!);
    expect(job?.failedReason).toContain('died 3 times');
  }
}, 40_000);

it('a process that is told to end while jobs run ends them, leaves the others, and holds nothing open', async () => {
  const name = newQueueName();
  const first = start(name, 5);
  const queues = await queuesOf(name);
  await begin(first);
  for (const queue of queues) await queue.enqueueMany(Array.from({ length: 30 }, () => 150));
  for (const kind of kinds) await first.line(`${kind} ended`);
  first.kill('SIGTERM');
  await first.line('closed');
  const { code, afterMs } = await first.exit();
  expect(code).toBe(0);
  expect(afterMs).toBeLessThan(2_000);
  for (const [index, kind] of kinds.entries()) {
    const ended = count([first], `${kind} ended`);
    // What it had begun it has ended.
    expect(count([first], `${kind} began`)).toBe(ended);
    expect(await queues[index]!.counts()).toMatchObject({
      ready: 30 - ended,
      active: 0,
      scheduled: 0,
      dead: 0,
    });
    const { jobs } = await queues[index]!.list({ state: 'ready' });
    expect(new Set(jobs.map(({ failures, deaths }) => `${failures} ${deaths}`))).toEqual(new Set(['0 0']));
  }
  const left: unknown[] = [];
  for (const kind of kinds) {
    await bootBullApp(stores.get(kind), { name, handlers: [[({ id }) => void left.push(`${kind} ${id}`)]] });
  }
  const begun = first.lines
    .filter((line) => line.includes('began'))
    .map((line) => line.replace('began ', ''));
  await expect.poll(() => begun.length + left.length, soon).toBe(60);
  expect(new Set([...begun, ...left]).size).toBe(60);
  await expect
    .poll(() => Promise.all(queues.map((queue) => queue.counts())), soon)
    .toMatchObject(kinds.map(() => ({ ready: 0, active: 0, scheduled: 0, dead: 0 })));
}, 40_000);
