/**
 * Puts another function in the place of a method of `instance`, if it has that method and lets itself be
 * changed. Answers a function that puts the old state back, or `undefined`.
 */
export function replaceMethod(
  instance: object,
  name: string,
  replacement: (original: () => unknown) => () => unknown,
): (() => void) | undefined {
  const target = instance as Record<string, unknown>;
  try {
    const method = target[name];
    if (typeof method !== 'function') return undefined;
    const own = Object.getOwnPropertyDescriptor(target, name);
    const replaced = replacement(() => method.call(instance) as unknown);
    Object.defineProperty(target, name, {
      value: replaced,
      configurable: true,
      writable: true,
      enumerable: false,
    });
    if (target[name] !== replaced) return undefined;
    return () => {
      // Somebody may have replaced it once more since; then theirs stays.
      if (target[name] !== replaced) return;
      if (own === undefined) delete target[name];
      else Object.defineProperty(target, name, own);
    };
  } catch {
    return undefined;
  }
}
