import type { StandardSchemaV1 } from '@standard-schema/spec';
import { InvalidPayloadError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import type { StoredJob } from './job-backend.js';
import type { PayloadCodec } from './payload-codec.js';
import { validatePayload } from './payload-schema.js';

/**
 * The payload of a job as its handler is to see it: decoded, and what the schema makes of it. Throws, or rejects with,
 * `InvalidPayloadError`.
 */
export function readPayload(
  { queue, id, payload }: Pick<StoredJob, 'queue' | 'id' | 'payload'>,
  codec: PayloadCodec,
  schema: StandardSchemaV1 | undefined,
): unknown {
  let value: unknown;
  try {
    value = codec.decode(payload);
  } catch (error) {
    throw new InvalidPayloadError(queue, id, `is no ${codec.name} (${toErrorInfo(error).message})`, [], {
      cause: error,
    });
  }
  return schema === undefined ? value : validatePayload(queue, id, schema, value);
}
