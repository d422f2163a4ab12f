import { composeMiddlewares, type Handler } from '../execution/index.js';
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
  readonly #supervisor: Supervisor;
  readonly #compose: () => Handler;
  #handler: Handler | undefined;

  constructor(
    pool: Pool,
    readonly worker: RunnableWorker,
    readonly options: ResolvedWorkerOptions,
    readonly origin: string,
  ) {
    this.name = options.name;
    const listed = [...pool.options.middlewares, ...options.middlewares];
    const own = listed.map((middleware) => pool.middleware(middleware, `worker "${this.name}" (${origin})`));
    // At the first start, since integrations may put something around it until then.
    this.#compose = () => composeMiddlewares([...pool.around, ...own], (ctx) => worker.run(ctx));
    this.#supervisor = new Supervisor({
      kind: this.kind,
      name: this.name,
      policy: options.supervision,
      historySize: pool.options.historySize,
      environment: pool,
      handler: (ctx) => (this.#handler ??= this.#compose())(ctx),
    });
  }

  get active(): boolean {
    return this.#supervisor.active;
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
