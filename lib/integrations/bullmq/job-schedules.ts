import { Job, JobScheduler, type JobJson, type QueueBaseOptions, type RepeatOptions } from 'bullmq';
import type { JobBackendHost } from '../../jobs/index.js';
import type { BullMqStore } from './bullmq-store.js';
import { ownField } from './job-record.js';

/** What has BullMQ's job schedulers go on: whoever claims one of their jobs says when the next one is due. */
export class JobSchedules {
  readonly #store: BullMqStore;
  readonly #host: JobBackendHost;
  readonly #schedulers = new Map<string, JobScheduler>();

  constructor(store: BullMqStore, host: JobBackendHost) {
    this.#store = store;
    this.#host = host;
  }

  /** Does nothing where it was done when the same job was claimed before. */
  async goOn(queue: string, json: JobJson, id: string): Promise<void> {
    const { repeatJobKey: key } = json;
    if (key === undefined) return;
    const scheduler = this.#schedulerOf(queue);
    const { name, data, opts } = Job.fromJSON<unknown>(scheduler, json, id);
    // What became of this one is nothing to the next.
    const { [ownField]: _, repeat, ...rest } = opts as Readonly<Record<string, unknown>>;
    if (repeat === undefined) return;
    try {
      const how = { override: false, producerId: id };
      await scheduler.upsertJobScheduler(key, repeat as RepeatOptions, name, data, rest, how);
    } catch (error) {
      this.#host.warn(
        `queue "${queue}": no job follows ${id} of BullMQ's job scheduler "${key}" (${String(error)}). ` +
          'It goes on where the job is run again; else call upsertJobScheduler() again.',
      );
    }
  }

  #schedulerOf(queue: string): JobScheduler {
    let scheduler = this.#schedulers.get(queue);
    if (scheduler === undefined) {
      const options = { connection: {} } as QueueBaseOptions;
      const made: JobScheduler = new JobScheduler(queue, options, () => this.#store.calls(queue) as never);
      // What its connection says is told already.
      made.on('error', () => {});
      this.#schedulers.set(queue, (scheduler = made));
    }
    return scheduler;
  }
}
