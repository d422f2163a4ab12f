import { parseDuration } from '../clock/index.js';
import { InvalidOptionError } from '../errors/index.js';

interface Bounds {
  readonly min?: number;
  /** What is said about the bound, as the end of "… is accepted". */
  readonly infinite?: boolean;
}

const durationForm = "a number of milliseconds or a string like '500ms', '3s' or '10m'";

/** Reads the options that somebody gave, and refuses what cannot be meant, in words that name the owner. */
export class OptionReader {
  readonly #owner: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** `known` names every option that there is; any other is refused, since it is most likely a slip of the pen. */
  constructor(owner: string, values: object, known: readonly string[], path = '') {
    this.#owner = owner;
    this.#values = values as Readonly<Record<string, unknown>>;
    this.#path = path;
    // Who writes JavaScript may have handed over anything.
    if (typeof (values as unknown) !== 'object' || (values as unknown) === null) {
      throw new InvalidOptionError({
        owner,
        option: path === '' ? 'options' : path.slice(0, -1),
        given: values,
        accepted: 'an object of options',
        cure: 'Give one, or leave it out.',
      });
    }
    for (const name of Object.keys(values)) {
      if (!known.includes(name)) {
        this.refuse(
          name,
          `one of the options ${known.join(', ')}`,
          'Correct the name of the option, or remove it.',
        );
      }
    }
  }

  /** Refuses names that are not known, and reads nothing. */
  static checkNames(owner: string, values: object, known: readonly string[], path: string): void {
    void new OptionReader(owner, values, known, path);
  }

  get(name: string): unknown {
    return this.#values[name];
  }

  /** Milliseconds. */
  duration(name: string, fallback: number, bounds?: Bounds): number;
  duration(name: string, fallback: undefined, bounds?: Bounds): number | undefined;
  duration(
    name: string,
    fallback: number | undefined,
    { min = 0, infinite = false }: Bounds = {},
  ): number | undefined {
    const value = this.#values[name];
    if (value === undefined) return fallback;
    const durationMs = parseDuration(value);
    const fits = durationMs !== undefined && durationMs >= min && (infinite || Number.isFinite(durationMs));
    if (fits) return durationMs;
    const bound = min > 0 ? `, of ${min} ms or more` : ', not negative';
    return this.refuse(
      name,
      durationForm + bound + (infinite ? ', or Infinity' : ''),
      'Give a length of time.',
    );
  }

  /** A whole number. */
  count(name: string, fallback: number, { min = 0, infinite = false }: Bounds = {}): number {
    const value = this.#values[name];
    if (value === undefined) return fallback;
    const whole = Number.isInteger(value) || (infinite && value === Infinity);
    if (whole && (value as number) >= min) return value as number;
    return this.refuse(
      name,
      `a whole number of ${min} or more${infinite ? ', or Infinity' : ''}`,
      'Give such a number.',
    );
  }

  oneOf<Value extends string>(name: string, fallback: Value, accepted: readonly Value[]): Value {
    const value = this.#values[name];
    if (value === undefined) return fallback;
    if (accepted.includes(value as Value)) return value as Value;
    return this.refuse(name, accepted.map((one) => `'${one}'`).join(', '), 'Choose one of these.');
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#values[name];
    if (value === undefined) return fallback;
    if (typeof value === 'boolean') return value;
    return this.refuse(
      name,
      'true or false',
      'A value from the environment is a string: compare it, as in `process.env.X === "true"`.',
    );
  }

  refuse(name: string, accepted: string, cure: string): never {
    throw new InvalidOptionError({
      owner: this.#owner,
      option: this.#path + name,
      given: this.#values[name],
      accepted,
      cure,
    });
  }
}
