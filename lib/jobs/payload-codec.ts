import { fromMsgpack, toMsgpack } from './msgpack.js';

/**
 * How payloads, results and progress become bytes, and bytes these again. Both may throw: what cannot be encoded is
 * refused when it is enqueued, and a job that cannot be decoded is dead at once.
 */
export interface PayloadCodec {
  /** For messages. */
  readonly name: string;
  /** `undefined` is stored as no payload at all. */
  encode(value: unknown): Uint8Array | undefined;
  decode(bytes: Uint8Array | undefined): unknown;
}

/** The codecs that go by a name. */
export type PayloadFormat = 'msgpack' | 'json' | 'bytes';

/** MessagePack: compact, keeps bytes and dates, and is what Go programs of gocraft/work v2 read and write. */
export const msgpackCodec: PayloadCodec = {
  name: 'msgpack',
  encode: (value) => (value === undefined ? undefined : toMsgpack(value)),
  decode: (bytes) => (bytes === undefined ? undefined : fromMsgpack(bytes)),
};

const toBytes = new TextEncoder();
// Bytes that are no UTF-8 are an error, and no question marks.
const toText = new TextDecoder('utf-8', { fatal: true });

export const jsonCodec: PayloadCodec = {
  name: 'json',
  encode(value) {
    if (value === undefined) return undefined;
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined) throw new TypeError(`JSON has no form for a ${typeof value}`);
    return toBytes.encode(text);
  },
  decode: (bytes) => (bytes === undefined ? undefined : (JSON.parse(toText.decode(bytes)) as unknown)),
};

/** As it is: a `Uint8Array` (a `Buffer` is one). */
export const bytesCodec: PayloadCodec = {
  name: 'bytes',
  encode(value) {
    if (value === undefined || value instanceof Uint8Array) return value;
    throw new TypeError(`a Uint8Array is wanted, not ${value === null ? 'null' : typeof value}`);
  },
  decode: (bytes) => bytes,
};

const byName: Readonly<Record<PayloadFormat, PayloadCodec>> = {
  msgpack: msgpackCodec,
  json: jsonCodec,
  bytes: bytesCodec,
};

export const payloadFormats = Object.keys(byName) as PayloadFormat[];

/** The codec that `option` stands for; `undefined` where it is none. */
export function codecOf(option: unknown): PayloadCodec | undefined {
  if (typeof option === 'string')
    return Object.hasOwn(byName, option) ? byName[option as PayloadFormat] : undefined;
  const codec = (option ?? {}) as Partial<PayloadCodec>;
  const isCodec = typeof codec.encode === 'function' && typeof codec.decode === 'function';
  return isCodec ? (codec as PayloadCodec) : undefined;
}
