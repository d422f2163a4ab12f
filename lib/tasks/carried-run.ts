import { AsyncResource } from 'node:async_hooks';
import { type Handler, selfCollected } from '../execution/index.js';

/** What a task runs, with the async context that it was submitted in: one object for both. */
export class CarriedRun extends AsyncResource {
  constructor(readonly run: Handler) {
    super('nestjs-worker:task', selfCollected);
  }
}
