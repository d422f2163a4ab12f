import { Decoder, Encoder } from '@msgpack/msgpack';

/** An encoder keeps its buffer, which grows with what it encodes: one that has grown past this is let go. */
const largestKeptBytes = 256 * 1024;

const makeEncoder = (): Encoder => new Encoder({ ignoreUndefined: true });

// One for all: making one takes longer than encoding a small value. Both may be entered again while they are at work.
let encoder = makeEncoder();
const decoder = new Decoder();

/** Throws where there is no MessagePack for it. What is `undefined` in an object is left out. */
export function toMsgpack(value: unknown): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(value);
  if (bytes.length > largestKeptBytes) encoder = makeEncoder();
  return bytes;
}

/** Throws where that is no MessagePack. */
export function fromMsgpack(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}
