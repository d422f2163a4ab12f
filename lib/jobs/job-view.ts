import { toErrorInfo } from '../events/index.js';
import type { StoredJob } from './job-backend.js';
import type { PayloadCodec } from './payload-codec.js';

/** What is stored of a job, with its payload, progress and result as values. Points in time are milliseconds. */
export interface JobView<Payload = unknown> extends Omit<StoredJob, 'payload' | 'progress' | 'result'> {
  /** `undefined` where there is none, or where it cannot be read. */
  readonly payload: Payload | undefined;
  /** Why its payload cannot be read. */
  readonly payloadError?: string;
  /** What its handler last said of how far it is. */
  readonly progress?: unknown;
  /** Of a completed one: what its handler returned. */
  readonly result?: unknown;
}

/** A page of jobs. */
export interface JobViewPage<Payload = unknown> {
  readonly jobs: readonly JobView<Payload>[];
  /** For the next page; `undefined` on the last one. A page may be short and have a next one. */
  readonly cursor: string | undefined;
}

/** Decodes what can be decoded of a stored job. Never throws. */
export function viewOf<Payload>(stored: StoredJob, codec: PayloadCodec): JobView<Payload> {
  const { payload: bytes, progress, result, ...rest } = stored;
  return {
    ...rest,
    ...readPayload<Payload>(bytes, codec),
    ...(progress !== undefined && { progress: decoded(progress, codec) }),
    ...(result !== undefined && { result: decoded(result, codec) }),
  };
}

function readPayload<Payload>(
  bytes: Uint8Array | undefined,
  codec: PayloadCodec,
): Pick<JobView<Payload>, 'payload' | 'payloadError'> {
  try {
    return { payload: codec.decode(bytes) as Payload | undefined };
  } catch (error) {
    return { payload: undefined, payloadError: `It is no ${codec.name}: ${toErrorInfo(error).message}` };
  }
}

function decoded(bytes: Uint8Array, codec: PayloadCodec): unknown {
  try {
    return codec.decode(bytes);
  } catch {
    return undefined;
  }
}
