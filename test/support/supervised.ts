import { FakeClock } from 'nestjs-worker/testing';
import type { WorkEvent, WorkEventType } from '../../lib/events/index.js';
import { noTracer, OptionReader } from '../../lib/execution/index.js';
import {
  type ResolvedSupervision,
  resolveSupervision,
  type SupervisionOptions,
  supervisionOptionNames,
  Supervisor,
} from '../../lib/supervision/index.js';
import { ManualWorker } from './manual-worker.js';
import { silentLogger } from './recording-logger.js';

/** Options as the library reads them, for the pool or, with `defaults`, for one worker. */
export function resolve(options: SupervisionOptions, defaults?: ResolvedSupervision): ResolvedSupervision {
  return resolveSupervision(
    'worker "relay"',
    new OptionReader('worker "relay"', options, supervisionOptionNames),
    defaults,
  );
}

/** No chance in it: 1 s, 2 s, 4 s, … up to a minute. */
export const exact = { initial: '1s', factor: 2, max: '1m', jitter: false } as const;

/** A supervisor without a pool, with its worker and all that it tells. */
export class Supervised {
  readonly clock: FakeClock;
  readonly worker: ManualWorker;
  readonly supervisor: Supervisor;
  readonly events: WorkEvent[] = [];
  readonly reports: { what: string; error: unknown }[] = [];
  readonly escalated: string[] = [];
  /** Called with each event, in the place of a listener. */
  listener: ((event: WorkEvent) => void) | undefined;
  #ids = 0;

  constructor(options: SupervisionOptions = {}, { worker = new ManualWorker(), historySize = 100 } = {}) {
    this.clock = new FakeClock();
    this.worker = worker;
    this.supervisor = new Supervisor(
      { kind: 'worker', name: 'relay', handler: () => (ctx) => worker.run(ctx) },
      resolve(options),
      {
        clock: this.clock,
        logger: silentLogger,
        tracer: noTracer,
        shutdown: new AbortController().signal,
        emit: (event) => {
          this.events.push(event);
          this.listener?.(event);
        },
        inScope: (fn) => fn(),
        generateId: () => `id-${++this.#ids}`,
        escalate: (name) => this.escalated.push(name),
        report: (what, error) => this.reports.push({ what, error }),
      },
      historySize,
    );
    this.supervisor.register();
  }

  get status(): string {
    return this.supervisor.record.status;
  }

  get types(): WorkEventType[] {
    return this.events.map(({ type }) => type);
  }

  of<Type extends WorkEventType>(type: Type): Extract<WorkEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<WorkEvent, { type: Type }> => event.type === type);
  }

  /** Starts it and lets the first attempt begin. */
  async start(): Promise<this> {
    this.supervisor.start();
    await this.clock.settle();
    return this;
  }

  /** Makes the attempt under way fail. */
  async fail(error?: unknown): Promise<void> {
    this.worker.attempt.fail(error);
    await this.clock.settle();
  }

  async succeed(): Promise<void> {
    this.worker.attempt.succeed();
    await this.clock.settle();
  }
}
