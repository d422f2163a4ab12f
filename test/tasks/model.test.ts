import * as fc from 'fast-check';
import { isWorkError, type Overflow, type Task, type TaskContext, type TaskOptions } from 'nestjs-worker';
import { expect, it } from 'vitest';
import { bareQueue, isolatedErrors } from '../support/fake-queue.js';
import { seeded } from '../support/fake-pool.js';
import { ModelTask, QueueModel, type Spec } from '../support/queue-model.js';

// fast-check makes the schedules; `QueueModel` says what should come of them.

const boom = new Error('boom');

interface Shape {
  readonly priority: number;
  readonly delay: number;
  readonly maxAttempts: number;
  readonly timeout: number | undefined;
  readonly plans: readonly { readonly lasts: number; readonly fails: boolean; readonly backoff: number }[];
  readonly obedient: boolean;
}

type Command =
  | { readonly do: 'enqueue'; readonly shape: Shape; readonly times: number }
  | { readonly do: 'submit' }
  | { readonly do: 'cancel'; readonly which: number }
  | { readonly do: 'pause' | 'resume' | 'shutdown' | 'start' | 'settle' | 'onIdle' }
  | { readonly do: 'concurrency'; readonly to: number }
  | { readonly do: 'advance'; readonly ms: number };

const shapes: fc.Arbitrary<Shape> = fc.record({
  priority: fc.constantFrom(0, 0, 0, 1, -1, 5),
  delay: fc.constantFrom(0, 0, 0, 5, 50, 3_000),
  maxAttempts: fc.constantFrom(1, 2, 3, 9),
  timeout: fc.constantFrom(undefined, undefined, 10, 40),
  plans: fc.array(
    fc.record({
      lasts: fc.constantFrom(0, 0, 5, 20, 60, 400, 2_000),
      fails: fc.boolean(),
      backoff: fc.constantFrom(1, 7, 100),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  obedient: fc.integer({ min: 0, max: 3 }).map((number) => number > 0),
});

const one = (
  weight: number,
  name: 'pause' | 'resume' | 'shutdown' | 'start' | 'settle' | 'onIdle' | 'submit',
) => ({
  weight,
  arbitrary: fc.constant<Command>({ do: name }),
});

const commands: fc.Arbitrary<readonly Command[]> = fc.array(
  fc.oneof(
    {
      weight: 30,
      arbitrary: fc.record({
        do: fc.constant('enqueue' as const),
        shape: shapes,
        times: fc.constantFrom(1, 1, 2, 5),
      }),
    },
    one(6, 'submit'),
    { weight: 10, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(1_000) }) },
    one(4, 'pause'),
    one(6, 'resume'),
    one(1, 'shutdown'),
    one(2, 'start'),
    one(8, 'settle'),
    one(2, 'onIdle'),
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('concurrency' as const), to: fc.constantFrom(1, 2, 3, 7) }),
    },
    {
      weight: 25,
      arbitrary: fc.record({
        do: fc.constant('advance' as const),
        ms: fc.constantFrom(1, 6, 15, 40, 100, 500, 2_500),
      }),
    },
  ),
  { minLength: 5, maxLength: 60 },
);

const setups = fc.record({
  concurrency: fc.constantFrom(1, 2, 3),
  maxQueued: fc.constantFrom(1, 3, 6, Infinity),
  overflow: fc.constantFrom<Overflow[]>('reject', 'wait', 'drop-oldest'),
});

const limits = { abortGraceMs: 30, shutdownTimeoutMs: 1_000, abortMarginMs: 200 };
const submitted: Spec = {
  priority: 0,
  delayMs: 0,
  maxAttempts: 1,
  timeoutMs: undefined,
  plans: [{ lastsMs: 0, fails: false, backoffMs: 0 }],
  obedient: true,
};

const same = (actual: unknown, expected: unknown): void => expect(actual).toEqual(expected);
const matches = (actual: object, expected: object): void => expect(actual).toMatchObject(expected);

class Run {
  readonly model: QueueModel;
  readonly fake;
  readonly tasks: { readonly model: ModelTask; readonly real: Task | undefined }[] = [];
  readonly begun: number[] = [];
  readonly afters: string[][] = [];
  readonly promised: Promise<unknown>[] = [];
  running = 0;
  mostRunning = 0;
  readonly #random = seeded(5);

  constructor(private readonly setup: { concurrency: number; maxQueued: number; overflow: Overflow }) {
    this.model = new QueueModel({ ...setup, ...limits });
    this.fake = bareQueue({
      ...setup,
      abortGrace: limits.abortGraceMs,
      shutdownTimeout: limits.shutdownTimeoutMs,
      abortMargin: limits.abortMarginMs,
    });
  }

  /** Answers nothing where the next command may follow in the same tick. */
  do(command: Command): Promise<void> | undefined {
    const { queue } = this.fake;
    switch (command.do) {
      case 'enqueue':
        for (let time = 0; time < command.times; time++) this.#enqueue(this.#specOf(command.shape));
        return undefined;
      case 'submit':
        this.#enqueue(submitted);
        return undefined;
      case 'pause':
        this.model.paused = true;
        queue.pause();
        return undefined;
      case 'resume':
        this.model.paused = false;
        queue.resume();
        return undefined;
      case 'concurrency':
        queue.concurrency = this.model.concurrency = command.to;
        return undefined;
      case 'onIdle':
        this.promised.push(queue.onIdle());
        return undefined;
      case 'settle':
        return this.settle();
      case 'cancel':
        return this.#cancel(command.which);
      case 'shutdown':
        this.model.shutdown();
        this.promised.push(queue.shutdown());
        return undefined;
      case 'start':
        this.model.start();
        queue.start();
        return undefined;
      case 'advance':
        return this.#advance(command.ms);
    }
  }

  async settle(): Promise<void> {
    this.model.settle();
    await this.fake.clock.settle();
  }

  check(): void {
    const { model } = this;
    const { queue } = this.fake;
    matches(queue.snapshot(), {
      running: model.running.length,
      queued: model.ready.length,
      delayed: model.delayed.length,
      waiting: model.waiting.length,
      stuck: model.stuck,
      enqueued: model.enqueued,
      completed: model.completed,
      attempts: model.attempts,
    });
    same(queue.size, model.ready.length + model.delayed.length + model.waiting.length);
    same(this.begun, model.begun);
    const held = this.tasks.filter(({ real }) => real !== undefined);
    same(
      held.map(({ real }) => [real?.status, real?.attempts]),
      held.map(({ model: { status, attempts } }) => [status, attempts]),
    );
  }

  /** Ends everything, and looks at how each task settled. */
  async finish(): Promise<void> {
    await this.do({ do: 'shutdown' });
    await this.do({ do: 'advance', ms: 10_000 });
    this.check();
    for (const { model, real } of this.tasks) {
      same(model.settled, true);
      same(this.afters[model.index] ?? [], real === undefined ? [] : [endOf(model)]);
      if (real === undefined) continue;
      const settled = await real.done.then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      if (model.end === 'succeeded') same(settled, { value: model.index });
      else same(settled, { error: errorOf(model) });
      await real.accepted;
      same(real.nextAttempt, undefined);
    }
    await Promise.all(this.promised);
    same(this.mostRunning, this.model.mostRunning);
    same(this.running, 0);
    same(this.fake.clock.pending, 0);
    same(isolatedErrors(this.fake), 0);
  }

  async #cancel(which: number): Promise<void> {
    // What a running task does when it is told to end takes a few microtasks: nothing else at this moment.
    await this.settle();
    const { model, real } = this.tasks[which % (this.tasks.length || 1)] ?? {};
    if (model === undefined || real === undefined) return;
    same(real.cancel('enough'), this.model.cancel(model));
    await this.settle();
  }

  async #advance(ms: number): Promise<void> {
    await this.settle();
    this.model.advance(this.#odd(ms));
    await this.fake.clock.advance(this.model.now - this.fake.clock.monotonic());
  }

  #enqueue(spec: Spec): void {
    const { queue } = this.fake;
    const model = new ModelTask(this.tasks.length, spec);
    const refused = this.model.refuses(spec);
    let real: Task | undefined;
    let thrown: string | undefined;
    try {
      if (spec === submitted) queue.submit(() => this.#begins(model.index));
      else real = queue.enqueue((ctx) => this.#work(ctx, model), this.#optionsOf(model));
    } catch (error) {
      thrown = isWorkError(error) ? error.code : String(error);
    }
    same(thrown, refused);
    if (refused !== undefined) return;
    this.model.add(model);
    this.tasks.push({ model, real });
  }

  async #work(ctx: TaskContext, { index, spec }: ModelTask): Promise<number> {
    this.#begins(index);
    same(++this.running <= this.fake.queue.running, true);
    const plan = spec.plans[Math.min(ctx.attempt, spec.plans.length) - 1]!;
    try {
      if (plan.lastsMs > 0) {
        const { clock } = this.fake;
        if (spec.obedient) await ctx.sleep(plan.lastsMs);
        else await new Promise<void>((resolve) => clock.setTimer(resolve, plan.lastsMs));
      }
    } finally {
      this.running--;
    }
    if (plan.fails) throw boom;
    return index;
  }

  #begins(index: number): void {
    this.begun.push(index);
    this.mostRunning = Math.max(this.mostRunning, this.fake.queue.running);
  }

  #optionsOf({ index, spec }: ModelTask): TaskOptions<number> {
    const { delayMs, priority, maxAttempts, timeoutMs, plans } = spec;
    return {
      delay: delayMs,
      priority,
      maxAttempts,
      ...(timeoutMs !== undefined && { timeout: timeoutMs }),
      backoff: (failures) => plans[Math.min(failures, plans.length) - 1]!.backoffMs,
      after: ({ kind, ...rest }) => {
        const dropped = 'reason' in rest && rest.reason === 'dropped';
        (this.afters[index] ??= []).push(dropped ? 'dropped' : kind);
      },
    };
  }

  #specOf({ priority, delay, maxAttempts, timeout, plans, obedient }: Shape): Spec {
    return {
      // Which of those that wait for room are let in together depends on how the ends of a moment follow each other.
      priority: this.setup.overflow === 'wait' ? 0 : priority,
      delayMs: this.#odd(delay),
      maxAttempts,
      timeoutMs: timeout && this.#odd(timeout),
      plans: plans.map(({ lasts, fails, backoff }) => ({
        lastsMs: this.#odd(lasts),
        fails,
        backoffMs: this.#odd(backoff),
      })),
      obedient,
    };
  }

  #bits(count: number): number {
    return Math.floor(this.#random() * 2 ** count);
  }

  /** A little more, so that no two things come due at one time; of a kind that adds up without rounding. */
  #odd(ms: number): number {
    return ms === 0 ? 0 : ms + (this.#bits(17) * 2 ** 18 + this.#bits(18)) / 2 ** 35;
  }
}

const endOf = ({ end }: ModelTask): string => end ?? 'none';

function errorOf({ end, spec }: ModelTask): unknown {
  if (end === 'failed') return boom;
  if (end === 'timed-out')
    return spec.obedient
      ? expect.objectContaining({ code: 'ATTEMPT_ABORTED', reason: 'timeout' })
      : expect.anything();
  return expect.objectContaining({ code: 'TASK_INTERRUPTED' });
}

it('does what the model does, whatever comes', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(setups, commands, async (setup, script) => {
      const run = new Run(setup);
      for (const command of script) {
        const done = run.do(command);
        if (done !== undefined) await done;
        if (command.do === 'advance' || command.do === 'settle') run.check();
      }
      await run.finish();
    }),
    { numRuns: 150 },
  );
});
