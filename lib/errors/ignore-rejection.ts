/** Sees to it that a promise which nobody asked for (user code that is async by mistake) does not end the process. */
export function ignoreRejection(value: unknown): void {
  if (value instanceof Promise) value.catch(() => {});
}
