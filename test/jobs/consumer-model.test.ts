import * as fc from 'fast-check';
import { it } from 'vitest';
import { type Command, ConsumerModelRun, type Plan } from './consumer-model-run.js';

// The model of a backend is in test/conformance; here are whole consumers, on a backend that is known to be sound.

const which = fc.nat(1);

const plans: fc.Arbitrary<readonly Plan[]> = fc.array(
  fc.record({
    do: fc.constantFrom<Plan['do'][]>(
      'succeed',
      'fail',
      'fail',
      'discard',
      'snooze',
      'cancel',
      'hang',
      'deaf',
    ),
    afterMs: fc.constantFrom(0, 0, 5, 700, 4_000, 45_000),
  }),
  { maxLength: 4 },
);

const commands: fc.Arbitrary<readonly Command[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant('enqueue' as const),
        plans,
        delayMs: fc.constantFrom(0, 0, 0, 10, 3_000),
        times: fc.constantFrom(1, 1, 2, 4),
      }),
    },
    // So many short ones that more are claimed than may run.
    {
      weight: 2,
      arbitrary: fc.constant<Command>({ do: 'enqueue', plans: [], delayMs: 0, times: 40 }),
    },
    {
      weight: 14,
      arbitrary: fc.record({
        do: fc.constant('advance' as const),
        ms: fc.constantFrom(1, 10, 600, 3_000, 12_000, 31_000),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom('stop' as const, 'stopOnly' as const),
        which,
        timeoutMs: fc.constantFrom(0, 800, 6_000, 25_000),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('start' as const), which }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('runOnce' as const), which }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('abandon' as const), which }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), which }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('break' as const),
        which,
        how: fc.constantFrom('fails' as const, 'hangs' as const),
        call: fc.constantFrom('claim' as const, 'extend' as const, 'settle' as const),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('mend' as const), which }) },
  ),
  { minLength: 4, maxLength: 40, size: 'max' },
);

// More of them now and then: MODEL_RUNS=3000.
const numRuns = Number(process.env['MODEL_RUNS'] ?? 80);

it('consumers keep what they promise, whatever comes', { timeout: 3_600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (script) => {
      const run = new ConsumerModelRun();
      await run.open();
      try {
        for (const command of script) await run.do(command);
        await run.finish();
      } finally {
        await run.abort();
      }
    }),
    { numRuns },
  );
});
