import { NextCalledTwiceError } from '../errors/index.js';
import type { WorkContext } from './attempt-context.js';
import type { Handler } from './executor.js';

/** Runs what is inside: the next middleware, or the work. Call it at most once. */
export type Next = () => Promise<unknown>;

/**
 * Is around each attempt. What it throws makes the attempt fail; what it swallows makes it succeed. Return, or
 * await, what `next()` gives: an attempt ends when its outermost middleware does.
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
  return middlewares.reduceRight<Handler>((inner, middleware) => {
    const use = typeof middleware === 'function' ? middleware : middleware.use.bind(middleware);
    return (context) => use(context, once(inner, context, middleware));
  }, handler);
}

function once(inner: Handler, context: WorkContext, middleware: Middleware | MiddlewareFunction): Next {
  let called = false;
  return async () => {
    if (called) throw new NextCalledTwiceError(nameOf(middleware));
    called = true;
    return inner(context);
  };
}

function nameOf(middleware: Middleware | MiddlewareFunction): string {
  return (typeof middleware === 'function' ? middleware.name : middleware.constructor.name) || '(anonymous)';
}
