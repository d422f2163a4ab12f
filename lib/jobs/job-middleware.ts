import { InvalidOptionError, NextCalledTwiceError } from '../errors/index.js';
import type { Middleware, MiddlewareFunction, Next, OptionReader } from '../execution/index.js';
import type { Pool } from '../pool/index.js';
import type { EnqueuedJob, EnqueueOptions } from './enqueue-options.js';
import type { ClaimedJob } from './job-backend.js';
import type { JobContext } from './job.js';

type Writable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] };

/** A job that is about to be enqueued. As the middlewares leave it, it is checked and stored. */
export interface JobDraft extends Writable<Omit<EnqueueOptions, 'id' | 'timeout' | 'headers'>> {
  readonly queue: string;
  readonly id: string;
  payload: unknown;
  headers: Record<string, string>;
}

/** Jobs that are about to be claimed for this process. Both numbers may be lowered. */
export interface JobClaim {
  readonly queue: string;
  /** So many will be started at once. */
  limit: number;
  /** So many more are wanted at hand. */
  prefetch: number;
}

/**
 * Is around the jobs of a queue: when they are enqueued, claimed, handled, or any of these. A class that Nest provides
 * and that is listed in `registerQueue({ middlewares })`, or an object.
 */
export interface JobMiddleware {
  /**
   * Is around each enqueueing in this process. Return what `next()` gives, or, without calling it, what became of the
   * job instead. What it throws is what `enqueue()` rejects with.
   */
  enqueue?(draft: JobDraft, next: () => Promise<EnqueuedJob>): Promise<EnqueuedJob>;
  /**
   * Is around each claim of this process. Return what `next()` gives, or some of it: the rest goes back untouched. Where
   * it does not call `next()`, nothing is claimed now, and it is asked again after a second. What it throws is logged,
   * and nothing is claimed. A queue with such a middleware claims in a call of its own, which costs a lone consumer a
   * round trip per job.
   */
  claim?(claim: JobClaim, next: () => Promise<readonly ClaimedJob[]>): Promise<readonly ClaimedJob[]>;
  /** Is around each attempt, see `Middleware`. */
  use?(context: JobContext, next: Next): Promise<unknown>;
}

/** A class of job middlewares, whose instance Nest provides. */
export type JobMiddlewareClass = new (...dependencies: never[]) => JobMiddleware;

/** A middleware as a queue may list it: a function around its attempts, an object, or a class that Nest provides. */
export type JobMiddlewareReference = MiddlewareFunction<JobContext> | JobMiddleware | JobMiddlewareClass;

/** Reads the middlewares that a queue lists. Throws `InvalidOptionError`. */
export function readJobMiddlewares(reader: OptionReader): readonly JobMiddlewareReference[] {
  const given = reader.get('middlewares') ?? [];
  const fits =
    Array.isArray(given) && given.every((one) => typeof one === 'function' || isJobMiddleware(one));
  if (fits) return given as JobMiddlewareReference[];
  return reader.refuse(
    'middlewares',
    'a list of functions (ctx, next), or of objects or provided classes with use(ctx, next), enqueue(draft, next) or ' +
      'claim(claim, next)',
    'Look for an undefined entry: a class that is imported in a circle is undefined while decorators run.',
  );
}

export function isJobMiddlewareClass(listed: JobMiddlewareReference): listed is JobMiddlewareClass {
  if (typeof listed !== 'function') return false;
  return isJobMiddleware(listed.prototype) || Function.prototype.toString.call(listed).startsWith('class');
}

/** What a listed middleware stands for. Throws `MiddlewareNotFoundError`, and `InvalidOptionError` for what is none. */
export function jobMiddleware(
  pool: Pool,
  listed: JobMiddlewareReference,
  owner: string,
): JobMiddleware | MiddlewareFunction<JobContext> {
  if (!isJobMiddlewareClass(listed)) return listed;
  const instance: unknown = pool.instantiate(listed as never, owner);
  if (isJobMiddleware(instance)) return instance;
  throw new InvalidOptionError({
    owner,
    option: 'middlewares',
    given: instance,
    accepted: `what has a method use(), enqueue() or claim() in the place of ${listed.name}`,
    cure: 'Give the class one of them, or several.',
  });
}

/** What is around enqueueing. */
export type EnqueueMiddleware = JobMiddleware & Required<Pick<JobMiddleware, 'enqueue'>>;

/** What is around claims. */
export type ClaimMiddleware = JobMiddleware & Required<Pick<JobMiddleware, 'claim'>>;

export function isEnqueueMiddleware(
  one: JobMiddleware | MiddlewareFunction<JobContext>,
): one is EnqueueMiddleware {
  return typeof one === 'object' && typeof one.enqueue === 'function';
}

export function isClaimMiddleware(
  one: JobMiddleware | MiddlewareFunction<JobContext>,
): one is ClaimMiddleware {
  return typeof one === 'object' && typeof one.claim === 'function';
}

/** Whether it is around attempts. */
export function isAround(
  one: JobMiddleware | MiddlewareFunction<JobContext>,
): one is MiddlewareFunction | Middleware {
  return typeof one === 'function' || typeof one.use === 'function';
}

/** Enqueues `draft` through `middlewares`, the first one outermost. */
export function enqueueThrough(
  middlewares: readonly EnqueueMiddleware[],
  draft: JobDraft,
  store: () => Promise<EnqueuedJob>,
): Promise<EnqueuedJob> {
  return through(middlewares, store, async (middleware, next) => {
    const answer: unknown = await middleware.enqueue(draft, next);
    if (typeof (answer as Partial<EnqueuedJob> | null | undefined)?.id === 'string')
      return answer as EnqueuedJob;
    throw new TypeError(
      `${nameOf(middleware)}.enqueue() answered no { id, status } for job ${draft.id} of queue "${draft.queue}": ` +
        'return what next() gives',
    );
  });
}

/** Claims through `middlewares`, the first one outermost. */
export function claimThrough(
  middlewares: readonly ClaimMiddleware[],
  claim: JobClaim,
  ask: () => Promise<readonly ClaimedJob[]>,
): Promise<readonly ClaimedJob[]> {
  return through(middlewares, ask, async (middleware, next) => {
    const answer: unknown = await middleware.claim(claim, next);
    if (Array.isArray(answer)) return answer as ClaimedJob[];
    throw new TypeError(
      `${nameOf(middleware)}.claim() answered no list of jobs for queue "${claim.queue}": return what next() gives`,
    );
  });
}

async function through<One extends JobMiddleware, Answer>(
  middlewares: readonly One[],
  inside: () => Promise<Answer>,
  call: (middleware: One, next: () => Promise<Answer>) => Promise<Answer>,
): Promise<Answer> {
  const run = middlewares.reduceRight<() => Promise<Answer>>((inner, middleware) => {
    let called = false;
    const next = async (): Promise<Answer> => {
      if (called) throw new NextCalledTwiceError(nameOf(middleware));
      called = true;
      return inner();
    };
    return () => call(middleware, next);
  }, inside);
  return run();
}

function isJobMiddleware(value: unknown): value is JobMiddleware {
  const methods = (value ?? {}) as Readonly<Record<'enqueue' | 'claim' | 'use', unknown>>;
  return [methods.enqueue, methods.claim, methods.use].some((method) => typeof method === 'function');
}

function nameOf(middleware: object): string {
  return middleware.constructor.name || '(anonymous)';
}
