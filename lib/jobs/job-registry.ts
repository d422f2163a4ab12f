import { DuplicateNameError, InvalidOptionError, JobQueueNotFoundError } from '../errors/index.js';
import { inTime, type Pool } from '../pool/index.js';
import type { AroundEnqueueing } from './around-enqueueing.js';
import type { CountOptions, JobBackend, QueueCounts } from './job-backend.js';
import { JobConnection } from './job-connection.js';
import { JobConsumer } from './job-consumer.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import type { HeaderProvider } from './job-maker.js';
import { isEnqueueMiddleware, isJobMiddlewareClass, jobMiddleware } from './job-middleware.js';
import { defaultConcurrency } from './job-queue-options.js';
import type { JobQueue } from './job-queue.js';

/** A queue of the app, and who says how many of its jobs run at a time. */
interface RegisteredQueue {
  readonly queue: JobQueue;
  readonly origin: string;
  concurrency: { readonly value: number; readonly saidBy: string } | undefined;
}

// By pool, which is one per app, and on globalThis: two copies of this package in one app share it.
const key = Symbol.for('nestjs-worker:jobs:v1');
const shared = globalThis as { [key]?: WeakMap<Pool, JobRegistry> };

/** What there is of jobs in the app of that pool. */
export function jobRegistryOf(pool: Pool): JobRegistry {
  const registries = (shared[key] ??= new WeakMap());
  let registry = registries.get(pool);
  if (registry === undefined) {
    registry = new JobRegistry(pool);
    registries.set(pool, registry);
  }
  return registry;
}

/** The backend, the queues and the handlers of an app, and what is wrong with them. */
export class JobRegistry {
  /** Of integrations: each adds headers to the jobs that are enqueued in this process. */
  readonly headerProviders: HeaderProvider[] = [];
  /** Of integrations: each is around the calls that enqueue in this process. */
  readonly aroundEnqueueing: AroundEnqueueing[] = [];
  readonly #pool: Pool;
  readonly #queues = new Map<string, RegisteredQueue>();
  #connection: JobConnection | undefined;
  #isDefault = false;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** `undefined` where no backend is registered. */
  get connection(): JobConnection | undefined {
    return this.#connection;
  }

  /** In the order in which they were registered. */
  *queues(): Iterable<JobQueue> {
    for (const { queue } of this.#queues.values()) yield queue;
  }

  queue(name: string): JobQueue | undefined {
    return this.#queues.get(name)?.queue;
  }

  /**
   * How some queues stand, by one call to the backend. Rejects as every call does, after `timeoutMs` at the latest; that says nothing of
   * how well the backend is, since the limit is that of whoever looks.
   */
  async counts(
    queues: readonly JobQueue[],
    { dueWithinMs, timeoutMs }: CountOptions & { readonly timeoutMs: number },
  ): Promise<readonly QueueCounts[]> {
    if (this.#connection === undefined || queues.length === 0) return [];
    const names = queues.map(({ name }) => name);
    const count = (backend: JobBackend): Promise<readonly QueueCounts[]> =>
      backend.counts(names, { dueWithinMs });
    return this.#connection.call('how its queues stand', timeoutMs, count, { quiet: true });
  }

  /** The connection to `backend`; without one to `makeDefault()`. Throws `InvalidOptionError` for a second backend. */
  connect(backend: JobBackend | undefined, makeDefault: () => JobBackend, owner: string): JobConnection {
    const first = this.#connection;
    if (first === undefined) {
      this.#isDefault = backend === undefined;
      this.#connection = new JobConnection(this.#pool, backend ?? makeDefault());
      return this.#connection;
    }
    if (backend === undefined ? this.#isDefault : backend === first.backend) return first;
    throw new InvalidOptionError({
      owner,
      option: 'backend',
      // Not the backend itself: it may hold a password.
      given: backend?.capabilities.name,
      accepted: `the very backend that another forRoot() gave, which is "${first.capabilities.name}"`,
      cure: 'There is one backend in an app: call JobsModule.forRoot() once, in the root module.',
    });
  }

  /** Throws `DuplicateNameError`. */
  addQueue(queue: JobQueue, origin: string): void {
    const { name, options } = queue;
    const namesake = this.#queues.get(name);
    if (namesake !== undefined) throw new DuplicateNameError('job-queue', name, namesake.origin, origin);
    const value = options.concurrency;
    const concurrency = value === undefined ? undefined : { value, saidBy: ownerOf(queue) };
    this.#queues.set(name, { queue, origin, concurrency });
    if (!options.middlewares.some(isJobMiddlewareClass))
      queue.use(this.#middlewaresOf(queue).filter(isEnqueueMiddleware));
  }

  /** Throws `JobQueueNotFoundError`, `DuplicateNameError` or `InvalidOptionError`. */
  addHandler(queueName: string, entry: JobHandlerEntry, concurrency: number | undefined): void {
    const registered = this.#registered(queueName, entry.origin);
    const { handlers } = registered.queue;
    const namesake = handlers.get(entry.name);
    if (namesake !== undefined) {
      const kind = `job-handler of queue "${queueName}"`;
      const cure = `@JobHandler('${queueName}', { name: 'reminder' }), or provide the class in one module only.`;
      throw new DuplicateNameError(kind, entry.name, namesake.origin, entry.origin, cure);
    }
    const said = registered.concurrency;
    if (concurrency !== undefined && said !== undefined && said.value !== concurrency) {
      throw new InvalidOptionError({
        owner: entry.origin,
        option: 'concurrency',
        given: concurrency,
        accepted: `${said.value}, which ${said.saidBy} says for the same queue`,
        cure: `It is how many jobs of queue "${queueName}" run at a time in this process: say so in one place.`,
      });
    }
    if (concurrency !== undefined) registered.concurrency ??= { value: concurrency, saidBy: entry.origin };
    handlers.set(entry.name, entry);
  }

  /** The queue that a handler is for. Throws `JobQueueNotFoundError`. */
  queueOf(name: string, owner: string): JobQueue {
    return this.#registered(name, owner).queue;
  }

  /** All handlers are known, and Nest has made everything: adds the consumers to the pool, and opens the backend. */
  begin(): void {
    for (const registered of this.#queues.values()) {
      const middlewares = this.#middlewaresOf(registered.queue);
      registered.queue.use(middlewares.filter(isEnqueueMiddleware));
      // One that closes meanwhile takes in nothing any more.
      if (this.#pool.draining || registered.queue.handlers.size === 0) continue;
      registered.queue.consumer = this.#consumerOf(registered, middlewares);
      this.#pool.add(registered.queue.consumer);
    }
    this.#connection?.open();
  }

  /** Lets go of the backend, once all that is being enqueued is stored. */
  async close(): Promise<void> {
    const stored = Promise.all([...this.queues()].map((queue) => queue.close()));
    // What is being enqueued has as long as work has to end after it was aborted; then it fails, and says its ids.
    await inTime(this.#pool, stored, this.#pool.options.abortMarginMs, () => []);
    await this.#connection?.close();
  }

  #registered(name: string, owner: string): RegisteredQueue {
    const registered = this.#queues.get(name);
    if (registered === undefined) throw new JobQueueNotFoundError(name, owner, [...this.#queues.keys()]);
    return registered;
  }

  #middlewaresOf(queue: JobQueue): ReturnType<typeof jobMiddleware>[] {
    return queue.options.middlewares.map((listed) => jobMiddleware(this.#pool, listed, ownerOf(queue)));
  }

  #consumerOf(
    { queue, origin, concurrency }: RegisteredQueue,
    middlewares: ReturnType<typeof jobMiddleware>[],
  ): JobConsumer {
    const options = { ...queue.options.consumer, concurrency: concurrency?.value ?? defaultConcurrency };
    return new JobConsumer(
      this.#pool,
      this.#connection!,
      options,
      [...queue.handlers.values()],
      middlewares,
      origin,
    );
  }
}

function ownerOf({ name }: JobQueue): string {
  return `job queue "${name}"`;
}
