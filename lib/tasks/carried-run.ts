import { AsyncResource } from 'node:async_hooks';
import type { Handler } from '../execution/index.js';

// Nobody needs to be told when it is collected.
const options = { requireManualDestroy: true };

/** What a task runs, with the async context that it was submitted in: one object for both. */
export class CarriedRun extends AsyncResource {
  constructor(readonly run: Handler) {
    super('nestjs-worker:task', options);
  }
}

/** A scope of its own with the async context of here: what is entered in it for good goes no further. */
export function newScope(): AsyncResource {
  return new AsyncResource('nestjs-worker:attempt', options);
}
