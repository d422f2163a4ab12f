import { replaceMethod } from './replace-method.js';

/**
 * Holds back every `onModuleDestroy` of an app until the pool has drained, so that what work uses is alive until
 * the work has ended, in whatever order Nest calls the hooks. The first one that is called starts the drain.
 */
export class ShutdownGate {
  readonly #wrapped = new Set<object>();
  readonly #drain: () => Promise<unknown>;
  #restore: (() => void)[] = [];

  /** `drain` is called by each hook and must give them all the same promise, which never rejects. */
  constructor(drain: () => Promise<unknown>) {
    this.#drain = drain;
  }

  /** Wraps the hooks of `instances`, each once. Answers the names of those that cannot be changed. */
  guard(instances: Iterable<object>): string[] {
    const refused: string[] = [];
    for (const instance of instances) {
      if (this.#wrapped.has(instance) || !hasHook(instance)) continue;
      const restore = replaceMethod(instance, 'onModuleDestroy', (original) => async () => {
        await this.#drain();
        return original();
      });
      if (restore === undefined) {
        refused.push(instance.constructor?.name ?? 'an object without a class');
        continue;
      }
      this.#wrapped.add(instance);
      this.#restore.push(restore);
    }
    return refused;
  }

  /** Puts everything back as it was. */
  release(): void {
    this.#restore.forEach((restore) => restore());
    this.#restore = [];
    this.#wrapped.clear();
  }
}

function hasHook(instance: object): boolean {
  try {
    return typeof (instance as { onModuleDestroy?: unknown }).onModuleDestroy === 'function';
  } catch {
    return false;
  }
}
