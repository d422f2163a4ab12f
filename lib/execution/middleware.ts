import { NextCalledTwiceError } from '../errors/index.js';
import type { AttemptContext, WorkContext } from './attempt-context.js';
import type { Handler } from './executor.js';

/** Runs what is inside: the next middleware, or the work. Call it at most once. */
export type Next = () => Promise<unknown>;

/**
 * Is around each attempt. What it throws makes the attempt fail; what it swallows makes it succeed. Return, or
 * await, what `next()` gives. One that ends before the work does leaves nothing behind: the attempt lasts until the
 * work has ended too, and work whose middleware gave up on it is aborted.
 */
export interface Middleware<Context extends WorkContext = WorkContext> {
  use(context: Context, next: Next): Promise<unknown>;
}

/** A middleware that needs nothing injected. */
export type MiddlewareFunction<Context extends WorkContext = WorkContext> = (
  context: Context,
  next: Next,
) => Promise<unknown>;

/** Puts middlewares around a handler, the first one outermost. Without any, the handler is returned as it is. */
export function composeMiddlewares(
  middlewares: readonly (Middleware | MiddlewareFunction)[],
  handler: Handler,
): Handler {
  if (middlewares.length === 0) return handler;
  const work: Handler = (context) => (context as AttemptContext).follow(handler);
  return middlewares.reduceRight<Handler>((inner, middleware) => {
    const use = typeof middleware === 'function' ? middleware : middleware.use.bind(middleware);
    return (context) => use(context, once(inner, context, middleware));
  }, work);
}

function once(inner: Handler, context: WorkContext, middleware: Middleware | MiddlewareFunction): Next {
  let called = false;
  const run = async (): Promise<unknown> => {
    if (called) throw new NextCalledTwiceError(nameOf(middleware));
    called = true;
    return inner(context);
  };
  return () => {
    const result = run();
    // A middleware that does not wait for it must not end the process by that.
    result.catch(() => {});
    return result;
  };
}

function nameOf(middleware: Middleware | MiddlewareFunction): string {
  return (typeof middleware === 'function' ? middleware.name : middleware.constructor.name) || '(anonymous)';
}
