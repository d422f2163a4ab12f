import { AsyncResource } from 'node:async_hooks';

/** Nobody needs to be told when it is collected. */
export const selfCollected = { requireManualDestroy: true };

/** A scope of its own with the async context of here: what is entered in it for good goes no further. */
export function newScope(): AsyncResource {
  return new AsyncResource('nestjs-worker:attempt', selfCollected);
}
