/** A job as programs of gocraft/work v2 keep it: the field `msgpack` of its hash. Times in milliseconds. */
export interface GoJob {
  readonly id: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly enqueuedAt: number;
  readonly payload: Uint8Array | undefined;
  readonly retries: number;
  readonly lastError: string;
}

const bytesOf = (name: string): Uint8Array => Uint8Array.of(0xa0 + name.length, ...Buffer.from(name));
const idKey = bytesOf('id');
const createdKey = bytesOf('created_at');
const updatedKey = bytesOf('updated_at');
const enqueuedKey = bytesOf('enqueued_at');
const payloadKey = bytesOf('payload');
const retriesKey = bytesOf('retries');
const lastErrorKey = bytesOf('last_error');

/** Reads from left to right what is expected to come; after what is not, nothing that it has read counts. */
class Reader {
  at = 0;
  isUsual = true;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  expect(expected: Uint8Array): void {
    const bytes = this.#bytes;
    for (let index = 0; index < expected.length; index++) {
      if (bytes[this.at + index] !== expected[index]) this.isUsual = false;
    }
    this.at += expected.length;
  }

  /** A whole number of so many bytes. */
  number(length: number): number {
    const bytes = this.#bytes;
    let number = 0;
    for (const end = this.at + length; this.at < end; this.at++)
      number = number * 256 + (bytes[this.at] ?? 0);
    return number;
  }

  /** In milliseconds: extension -1 of 4 or 8 bytes. */
  time(): number {
    const head = this.number(2);
    if (head === 0xd6ff) return this.number(4) * 1_000;
    if (head !== 0xd7ff) this.isUsual = false;
    const high = this.number(4);
    const seconds = (high % 4) * 2 ** 32 + this.number(4);
    return seconds * 1_000 + Math.floor(Math.floor(high / 4) / 1e6);
  }

  count(): number {
    const type = this.number(1);
    if (type < 0x80) return type;
    if (type < 0xcc || type > 0xce) this.isUsual = false;
    return this.isUsual ? this.number(2 ** (type - 0xcc)) : 0;
  }

  text(): string {
    const type = this.number(1);
    if (type === 0xa0) return '';
    const isShort = type > 0xa0 && type < 0xc0;
    if (!isShort && (type < 0xd9 || type > 0xdb)) this.isUsual = false;
    if (!this.isUsual) return '';
    const { byteOffset, length, buffer } = this.#slice(
      isShort ? type - 0xa0 : this.number(2 ** (type - 0xd9)),
    );
    return Buffer.from(buffer, byteOffset, length).toString();
  }

  /** Nil or bin. */
  bytes(): Uint8Array | undefined {
    const type = this.number(1);
    if (type === 0xc0) return undefined;
    if (type < 0xc4 || type > 0xc6) this.isUsual = false;
    return this.isUsual ? this.#slice(this.number(2 ** (type - 0xc4))) : undefined;
  }

  /** Nothing is left. */
  end(): boolean {
    return this.isUsual && this.at === this.#bytes.length;
  }

  #slice(length: number): Uint8Array {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
}

/**
 * Reads a job with its fields in the order and the form in which Go and `encodeGoJob()` write them, in a third of the time
 * that reading any MessagePack takes. `undefined` where it is anything else.
 */
export function readUsualGoJob(bytes: Uint8Array): GoJob | undefined {
  const reader = new Reader(bytes);
  if (reader.number(1) !== 0x87) return undefined;
  reader.expect(idKey);
  const id = reader.text();
  reader.expect(createdKey);
  const createdAt = reader.time();
  reader.expect(updatedKey);
  const updatedAt = reader.time();
  reader.expect(enqueuedKey);
  const enqueuedAt = reader.time();
  reader.expect(payloadKey);
  const payload = reader.bytes();
  reader.expect(retriesKey);
  const retries = reader.count();
  reader.expect(lastErrorKey);
  const lastError = reader.text();
  return reader.end() ? { id, createdAt, updatedAt, enqueuedAt, payload, retries, lastError } : undefined;
}
