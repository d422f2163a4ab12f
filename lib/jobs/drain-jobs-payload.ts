import { isDeepStrictEqual } from 'node:util';
import { toErrorInfo } from '../events/index.js';
import type { PayloadCodec } from './payload-codec.js';

type Bytes = Uint8Array | undefined;

/** Turns payloads of one format into those of another. */
export class PayloadCarrier {
  readonly #from: PayloadCodec;
  readonly #to: PayloadCodec;

  constructor(from: PayloadCodec, to: PayloadCodec) {
    this.#from = from;
    this.#to = to;
  }

  /** Throws where the handler at the target would not be given what it would have been given at the source. */
  carry(payload: Bytes): Bytes {
    if (payload === undefined || this.#from === this.#to) return payload;
    const value = attempt(`cannot be read as ${this.#from.name}`, () => this.#from.decode(payload));
    const carried = attempt(`cannot be written as ${this.#to.name}`, () => this.#to.encode(value));
    const read = attempt(`cannot be read again as ${this.#to.name}`, () => this.#to.decode(carried));
    if (isDeepStrictEqual(value, read)) return carried;
    // Such as a date, which JSON makes a text of.
    throw new Error(
      `would be another one in ${this.#to.name}: give the queue the format ${this.#from.name} at the target, too`,
    );
  }

  /** Whether two payloads at the target say the same: the one that would be stored there, and the one that is. */
  isSame(carried: Bytes, stored: Bytes): boolean {
    if (carried === undefined || stored === undefined) return carried === stored;
    if (Buffer.compare(carried, stored) === 0) return true;
    try {
      // A store may write the same in another way.
      return isDeepStrictEqual(this.#to.decode(carried), this.#to.decode(stored));
    } catch {
      return false;
    }
  }
}

function attempt<Result>(failing: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw new Error(`${failing}: ${toErrorInfo(error).message}`, { cause: error });
  }
}
