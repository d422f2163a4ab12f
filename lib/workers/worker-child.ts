import {
  composeMiddlewares,
  type ExecutionStatus,
  type Handler,
  type Middleware,
  type MiddlewareFunction,
} from '../execution/index.js';
import type { Child, Pool, StopRequest } from '../pool/index.js';
import { Supervisor } from '../supervision/index.js';
import type { RunnableWorker } from './runnable-worker.js';
import { WorkerExecution } from './worker-execution.js';
import type { ResolvedWorkerOptions } from './worker-options.js';

/** A worker as the pool sees it: its `run()`, with middlewares around it, under a supervisor. */
export class WorkerChild implements Child {
  readonly kind = 'worker';
  readonly drains = 'first';
  readonly name: string;
  readonly #pool: Pool;
  readonly #supervisor: Supervisor;
  readonly #middlewares: readonly (Middleware | MiddlewareFunction)[];

  constructor(
    pool: Pool,
    readonly worker: RunnableWorker,
    readonly options: ResolvedWorkerOptions,
    readonly origin: string,
  ) {
    this.name = options.name;
    this.#pool = pool;
    const listed = [...pool.options.middlewares, ...options.middlewares];
    this.#middlewares = listed.map((one) => pool.middleware(one, `worker "${this.name}" (${origin})`));
    this.#supervisor = new Supervisor(this, options.supervision, pool, pool.options.historySize);
  }

  /** Integrations may put something around it until the first start. */
  handler(): Handler {
    const { worker } = this;
    return composeMiddlewares([...this.#pool.around, ...this.#middlewares], (ctx) => worker.run(ctx));
  }

  get active(): boolean {
    return this.#supervisor.active;
  }

  get status(): ExecutionStatus {
    return this.#supervisor.record.status;
  }

  get ignorable(): boolean {
    return this.options.supervision.onExhausted === 'ignore';
  }

  get enabled(): boolean {
    return this.options.supervision.enabled;
  }

  register(): void {
    this.#supervisor.register();
  }

  start(): void {
    this.#supervisor.start();
  }

  stop({ reason }: StopRequest): Promise<void> {
    return this.#supervisor.stop(reason);
  }

  abandon(): void {
    this.#supervisor.abandon();
  }

  snapshot(): WorkerExecution {
    return new WorkerExecution(this.#supervisor);
  }
}
