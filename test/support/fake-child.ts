import type { Child, ChildSnapshot, StopRequest } from '../../lib/pool/index.js';

/** A child that a test moves: it starts at once, and ends when the test says so. */
export class FakeChild implements Child {
  readonly kind: Child['kind'];
  readonly origin: string;
  active = false;
  readonly ignorable = false;
  started = 0;
  registered = 0;
  abandoned = 0;
  readonly requests: StopRequest[] = [];
  readonly #ends: (() => void)[] = [];

  constructor(
    readonly name: string,
    readonly drains: Child['drains'] = 'first',
  ) {
    this.kind = drains === 'first' ? 'job-consumer' : 'task-queue';
    this.origin = `${name} in AppModule`;
  }

  get status(): Child['status'] {
    return this.active ? 'running' : 'unknown';
  }

  register(): void {
    this.registered++;
  }

  start(): void {
    this.started++;
    this.active = true;
  }

  stop(request: StopRequest): Promise<void> {
    this.requests.push(request);
    if (!this.active) return Promise.resolve();
    return new Promise((resolve) => this.#ends.push(resolve));
  }

  abandon(): void {
    this.abandoned++;
  }

  snapshot(): ChildSnapshot {
    return Object.freeze({
      kind: this.kind,
      name: this.name,
      status: this.status,
      ignorable: this.ignorable,
    });
  }

  /** Ends what it was told to end. */
  end(): void {
    this.active = false;
    this.#ends.splice(0).forEach((end) => end());
  }
}
