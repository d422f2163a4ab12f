import { replaceMethod } from './replace-method.js';

interface Guard {
  /** The gates that hold this hook back: one for each app that the instance is provided in. */
  readonly gates: Set<ShutdownGate>;
  readonly restore: () => void;
}

// On globalThis: an instance that is provided in two apps, or in an app with two copies of this package, is wrapped
// once.
const key = Symbol.for('nestjs-worker:shutdown-guards:v1');
const shared = globalThis as { [key]?: WeakMap<object, Guard> };
const guards = (shared[key] ??= new WeakMap());

/**
 * Holds back every `onModuleDestroy` of an app until the pool has drained, so that what work uses is alive until
 * the work has ended, in whatever order Nest calls the hooks. The first one that is called starts the drain.
 */
export class ShutdownGate {
  readonly #guarded = new Set<object>();
  readonly #drain: (instance: object) => Promise<unknown>;
  readonly #isDraining: () => boolean;
  readonly #isInsideWork: () => boolean;

  /**
   * `drain` is called by each hook and must give them all the same promise, which never rejects. A hook that is
   * called inside of work is no shutdown, but something that the work does to what it uses, and is let through.
   */
  constructor(
    drain: (instance: object) => Promise<unknown>,
    isDraining: () => boolean,
    isInsideWork: () => boolean,
  ) {
    this.#drain = drain;
    this.#isDraining = isDraining;
    this.#isInsideWork = isInsideWork;
  }

  /** Wraps the hooks of `instances`, each once. Answers the names of those that cannot be changed. */
  guard(instances: Iterable<object>): string[] {
    const refused: string[] = [];
    for (const instance of instances) {
      if (!hasHook(instance) || this.#guarded.has(instance)) continue;
      if (guardOf(instance)?.gates.add(this)) this.#guarded.add(instance);
      else refused.push(instance.constructor?.name ?? 'an object without a class');
    }
    return refused;
  }

  /** Lets go of every hook; one that no other app holds is as it was. */
  release(): void {
    for (const instance of this.#guarded) {
      const guard = guards.get(instance);
      guard?.gates.delete(this);
      if (guard?.gates.size !== 0) continue;
      guard.restore();
      guards.delete(instance);
    }
    this.#guarded.clear();
  }

  /** Waits for the drain. With an instance of several apps nobody knows which one closes, and so none is begun. */
  async pass(instance: object, alone: boolean): Promise<void> {
    if (this.#isInsideWork()) return;
    if (alone || this.#isDraining()) await this.#drain(instance);
  }
}

function guardOf(instance: object): Guard | undefined {
  const known = guards.get(instance);
  if (known !== undefined) return known;
  const gates = new Set<ShutdownGate>();
  const restore = replaceMethod(instance, 'onModuleDestroy', (original) => async () => {
    const alone = gates.size === 1;
    await Promise.all([...gates].map((gate) => gate.pass(instance, alone)));
    return original();
  });
  if (restore === undefined) return undefined;
  const guard: Guard = { gates, restore };
  guards.set(instance, guard);
  return guard;
}

function hasHook(instance: object): boolean {
  try {
    return typeof (instance as { onModuleDestroy?: unknown }).onModuleDestroy === 'function';
  } catch {
    return false;
  }
}
