/** The calls of one opening, so that none goes on waiting once that is closed. */
export class CallsUnderWay {
  readonly #underWay = new Set<(error: Error) => void>();
  readonly #explained: (error: unknown) => unknown;
  #onIdle: () => void = () => {};

  /** `explained`: makes an error that can be understood of one that a call has rejected with. */
  constructor(explained: (error: unknown) => unknown) {
    this.#explained = explained;
  }

  /** Answers as that does, unless it is cut off before. */
  run<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#underWay.add(reject);
      const end = (): void => {
        this.#underWay.delete(reject);
        if (this.#underWay.size === 0) this.#onIdle();
      };
      answer.then(
        (value) => {
          end();
          resolve(value);
        },
        (error: unknown) => {
          end();
          reject(this.#explained(error));
        },
      );
    });
  }

  /** Resolves once none is under way. */
  async idle(): Promise<void> {
    if (this.#underWay.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  /** Rejects those that are still under way: BullMQ may never answer them. */
  cutOff(): void {
    for (const reject of this.#underWay) reject(new Error('the connection of BullMQ was closed'));
    this.#underWay.clear();
  }
}

/** Waits for it, though not for longer than that. */
export async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, tooLong]).finally(() => clearTimeout(timer));
}
