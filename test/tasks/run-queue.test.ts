import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Handler } from '../../lib/execution/index.js';
import type { QueuedTask } from '../../lib/tasks/queued-task.js';
import { RunQueue, type Waiting } from '../../lib/tasks/run-queue.js';

interface Settleable {
  settled: boolean;
}

const taskOf = (): QueuedTask & Settleable => ({ settled: false }) as unknown as QueuedTask & Settleable;
const handlerOf = (): Handler => () => undefined;

type Command =
  | { push: 'task' | 'handler'; times: number }
  | { shift: number }
  | { drop: number; times: number };

const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    fc.record({ push: fc.constantFrom('task' as const, 'handler' as const), times: fc.nat(700) }),
    fc.record({ shift: fc.nat(900) }),
    fc.record({ drop: fc.nat(5_000), times: fc.nat(700) }),
  ),
  { maxLength: 30 },
);

describe('RunQueue', () => {
  it('is first in, first out, passes over what has settled, and counts right, whatever comes', () => {
    fc.assert(
      fc.property(commands, (script) => {
        const queue = new RunQueue();
        const model: { entry: Waiting; dueAt: number }[] = [];
        let order = 0;
        for (const command of script) {
          if ('push' in command) {
            for (let time = 0; time < command.times; time++) {
              const entry = command.push === 'task' ? taskOf() : handlerOf();
              queue.push(entry, ++order);
              model.push({ entry, dueAt: order });
            }
          } else if ('drop' in command) {
            for (let time = 0; time < command.times; time++) {
              const index = (command.drop * (time + 1)) % (model.length || 1);
              const entry = model[index]?.entry;
              if (typeof entry !== 'object') continue;
              (entry as unknown as Settleable).settled = true;
              queue.drop();
              model.splice(index, 1);
            }
          } else {
            for (let time = 0; time < command.shift; time++) {
              const expected = model.shift();
              if (queue.shift() !== expected?.entry) throw new Error('another one came out');
              if (expected !== undefined) expect(queue.shiftedDueAt).toBe(expected.dueAt);
            }
          }
          expect(queue.length).toBe(model.length);
          expect(queue.firstDueAt).toBe(model[0]?.dueAt ?? Infinity);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('takes up no more room than is needed where tasks come and are cancelled and none runs', () => {
    const queue = new RunQueue();
    const kept = taskOf();
    queue.push(kept, 0);
    const gone: WeakRef<object>[] = [];
    for (let index = 0; index < 10_000; index++) {
      const task = taskOf();
      if (index < 5_000) gone.push(new WeakRef(task));
      queue.push(task, index);
      task.settled = true;
      queue.drop();
    }
    expect(queue.length).toBe(1);
    expect(queue.shift()).toBe(kept);
    expect(queue.shift()).toBeUndefined();
  });
});
