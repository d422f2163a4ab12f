import type { StandardSchemaV1 } from '@standard-schema/spec';
import { InvalidPayloadError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import { EncodedPayload } from './encoded-payload.js';
import {
  type EnqueueOptions,
  type ResolvedEnqueueOptions,
  resolveEnqueueOptions,
} from './enqueue-options.js';
import type { NewJob } from './job-backend.js';
import type { JobConnection } from './job-connection.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import type { ResolvedJobQueueOptions } from './job-queue-options.js';
import { validatePayload } from './payload-schema.js';
import { readPayload } from './read-payload.js';

/** Adds headers to each job that is enqueued in this process: what an integration carries along. */
export type HeaderProvider = () => Readonly<Record<string, string>> | undefined;

/** Makes of a payload what a backend stores: checked, encoded, with its headers. */
export class JobMaker {
  readonly #connection: JobConnection;
  readonly #options: ResolvedJobQueueOptions;
  readonly #handlers: ReadonlyMap<string, JobHandlerEntry>;
  readonly #headerProviders: readonly HeaderProvider[];

  constructor(
    connection: JobConnection,
    options: ResolvedJobQueueOptions,
    /** Of the queue in this process, by name. */
    handlers: ReadonlyMap<string, JobHandlerEntry>,
    headerProviders: readonly HeaderProvider[],
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#handlers = handlers;
    this.#headerProviders = headerProviders;
  }

  /** Throws `InvalidOptionError`. */
  resolve(options: EnqueueOptions | undefined): ResolvedEnqueueOptions {
    return resolveEnqueueOptions(this.#options.name, options, this.#connection.capabilities);
  }

  /** What bytes stand for that are to be the payload of job `id`. Throws `InvalidPayloadError`. */
  decode({ bytes }: EncodedPayload, id: string): unknown {
    const { codec, queue } = this.#options.consumer;
    return readPayload({ queue, id, payload: bytes }, codec, undefined);
  }

  /** At once, where the schema can. Throws, or rejects with, `InvalidPayloadError`. An `EncodedPayload` is stored as it is. */
  make(payload: unknown, resolved: ResolvedEnqueueOptions): NewJob | Promise<NewJob> {
    const schema = this.#schemaFor(resolved.name);
    if (payload instanceof EncodedPayload) return this.#keepBytes(payload, schema, resolved);
    if (schema === undefined) return this.#encode(payload, resolved);
    const checked = validatePayload(this.#options.name, resolved.id, schema, payload);
    // What the schema makes of it is for the handler: to make that twice may not be the same as once.
    if (checked instanceof Promise) return checked.then(() => this.#encode(payload, resolved));
    return this.#encode(payload, resolved);
  }

  /** Of bytes that can be read, and are what the schema says. */
  #keepBytes(
    payload: EncodedPayload,
    schema: StandardSchemaV1 | undefined,
    resolved: ResolvedEnqueueOptions,
  ): NewJob | Promise<NewJob> {
    const { codec, queue } = this.#options.consumer;
    const checked = readPayload({ queue, id: resolved.id, payload: payload.bytes }, codec, schema);
    if (schema !== undefined && checked instanceof Promise)
      return checked.then(() => this.#complete(payload.bytes, resolved));
    return this.#complete(payload.bytes, resolved);
  }

  #schemaFor(name: string): StandardSchemaV1 | undefined {
    const handler = this.#handlers.get(name) ?? this.#handlers.get('');
    return handler?.schema ?? this.#options.schema;
  }

  #encode(value: unknown, resolved: ResolvedEnqueueOptions): NewJob {
    const { codec, queue } = this.#options.consumer;
    let payload: Uint8Array | undefined;
    try {
      payload = codec.encode(value);
      if (payload !== undefined && !(payload instanceof Uint8Array))
        throw new TypeError('it gave no Uint8Array');
    } catch (error) {
      const what = `cannot be written as ${codec.name} (${toErrorInfo(error).message})`;
      throw new InvalidPayloadError(queue, resolved.id, what, [], { cause: error });
    }
    return this.#complete(payload, resolved);
  }

  #complete(payload: Uint8Array | undefined, resolved: ResolvedEnqueueOptions): NewJob {
    const { queue } = this.#options.consumer;
    const { id, name, due, priority, unique, limitKey, transaction } = resolved;
    const headers = this.#withProvided(resolved.headers);
    const job = { id, queue, name, payload, due, priority, headers, unique, limitKey };
    return transaction === undefined ? job : { ...job, transaction };
  }

  #withProvided(own: NewJob['headers']): NewJob['headers'] {
    if (this.#headerProviders.length === 0) return own;
    const headers: Record<string, string> = {};
    for (const provide of this.#headerProviders) {
      try {
        Object.assign(headers, provide());
      } catch (error) {
        this.#connection.pool.report('adding headers to a job', error);
      }
    }
    return Object.assign(headers, own);
  }
}
