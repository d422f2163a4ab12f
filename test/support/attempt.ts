import { FakeClock } from 'nestjs-worker/testing';
import type { AbortReason, WorkEvent } from '../../lib/events/index.js';
import {
  AttemptContext,
  type AttemptObserver,
  execute,
  type Handler,
  noTracer,
  type Outcome,
} from '../../lib/execution/index.js';
import { RecordingLogger } from './recording-logger.js';

/** One attempt outside of any supervisor, with all that it tells its observer. */
export class TestAttempt {
  readonly clock: FakeClock;
  readonly logger = new RecordingLogger();
  readonly shutdown = new AbortController();
  readonly events: WorkEvent[] = [];
  readonly abortedFor: AbortReason[] = [];
  readonly observer: AttemptObserver;
  readonly context: AttemptContext;
  beats = 0;

  constructor(previous?: TestAttempt) {
    this.clock = previous?.clock ?? new FakeClock();
    this.events = previous?.events ?? [];
    this.observer = previous?.observer ?? {
      child: { kind: 'worker', name: 'relay' },
      maxAttempts: 5,
      scope: 'relay',
      marks: false,
      identify: () => 'id-1',
      environment: {
        clock: this.clock,
        logger: this.logger,
        tracer: noTracer,
        shutdown: this.shutdown.signal,
        emit: (event) => this.events.push(event),
      },
      beat: () => this.beats++,
      aborted: (reason) => this.abortedFor.push(reason),
    };
    this.context = new AttemptContext(this.observer, 2);
  }

  execute(handler: Handler, timeoutMs?: number): Promise<Outcome> {
    return new Promise((resolve) => execute(handler, this.context, timeoutMs, resolve));
  }
}
