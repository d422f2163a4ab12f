import { replaceMethod } from './replace-method.js';

/**
 * Opens once every `onApplicationBootstrap` of an app has ended well, so that nothing runs before the app is
 * ready. It wraps the hooks that there are and counts them out; one that rejects keeps the gate shut for ever.
 */
export class StartGate {
  #open: (() => void) | undefined;
  #awaited = new Set<object>();
  #underWay = 0;
  #restore: (() => void)[] = [];

  constructor(open: () => void) {
    this.#open = open;
  }

  /** Waits for the hook of each of `instances`. Call it before Nest calls the first one. */
  watch(instances: Iterable<object>): void {
    for (const instance of instances) {
      if (this.#awaited.has(instance)) continue;
      const restore = replaceMethod(
        instance,
        'onApplicationBootstrap',
        (original) => () => this.#passing(instance, original),
      );
      if (restore === undefined) continue;
      this.#awaited.add(instance);
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
      this.#awaited.delete(instance);
      if (this.#awaited.size === 0 && this.#underWay === 0) {
        const open = this.#open;
        this.shut();
        open?.();
      }
    }
  }
}
