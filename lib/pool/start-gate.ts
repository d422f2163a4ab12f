import { replaceMethod } from './replace-method.js';

/**
 * Opens once every `onApplicationBootstrap` of an app has ended well, so that nothing runs before the app is
 * ready. It wraps the hooks that there are and counts them out; one that rejects keeps the gate shut for ever.
 */
export class StartGate {
  #open: (() => void) | undefined;
  /** How many more calls of each hook are to come: one for each provider that is this instance. */
  readonly #awaited = new Map<object, number>();
  #underWay = 0;
  #restore: (() => void)[] = [];

  constructor(open: () => void) {
    this.#open = open;
  }

  /** Waits for the hook of each of `instances`. Call it before Nest calls the first one. */
  watch(instances: Iterable<object>): void {
    for (const instance of instances) {
      const calls = this.#awaited.get(instance);
      if (calls !== undefined) {
        this.#awaited.set(instance, calls + 1);
        continue;
      }
      const restore = replaceMethod(
        instance,
        'onApplicationBootstrap',
        (original) => () => this.#passing(instance, original),
      );
      if (restore === undefined) continue;
      this.#awaited.set(instance, 1);
      this.#restore.push(restore);
    }
  }

  /** Never opens any more. */
  shut(): void {
    this.#open = undefined;
    this.#restore.forEach((restore) => restore());
    this.#restore = [];
  }

  async #passing(instance: object, original: () => unknown): Promise<unknown> {
    this.#underWay++;
    try {
      return await original();
    } catch (error) {
      this.shut();
      throw error;
    } finally {
      this.#underWay--;
      const left = (this.#awaited.get(instance) ?? 1) - 1;
      if (left > 0) this.#awaited.set(instance, left);
      else this.#awaited.delete(instance);
      if (this.#awaited.size === 0 && this.#underWay === 0) {
        const open = this.#open;
        this.shut();
        open?.();
      }
    }
  }
}
