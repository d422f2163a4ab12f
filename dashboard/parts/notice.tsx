import type { ComponentChildren, JSX } from 'preact';
import type { ApiError } from '../net/api.js';

/** Says why there is nothing, and what to do. */
export function Notice({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="notice">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Loading(): JSX.Element {
  return (
    <p class="quiet" role="status">
      Loading …
    </p>
  );
}

/** Where something stands that was read before, `stale` says that it could not be read again. */
export function Failure({ error, stale = false }: { error: ApiError; stale?: boolean }): JSX.Element {
  return (
    <p class="banner tone-bad" role="status">
      {stale ? 'This could not be brought up to date. ' : 'This could not be read. '}
      {error.message}
    </p>
  );
}
