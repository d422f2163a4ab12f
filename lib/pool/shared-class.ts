type Class = abstract new (...args: never[]) => unknown;

/** The lists in a module's metadata, before Nest has read them. */
interface ModuleLists {
  readonly providers: unknown[];
  readonly exports: unknown[];
}

interface Copies {
  readonly classes: Set<Class>;
  readonly lists: Set<ModuleLists>;
}

// On globalThis: each loaded copy of the package has its own of this file, and they must find one another.
const key = Symbol.for('nestjs-worker:shared-classes:v1');
const shared = globalThis as { [key]?: Map<symbol, Copies> };

/**
 * Makes a class injectable in the class of every copy of this package that is loaded (ESM and CommonJS in one
 * app): whichever module is imported offers the one instance behind `token` under all of them. The lists are
 * added to, also later, until Nest reads them.
 */
export function shareClass(token: symbol, ownClass: Class, lists: ModuleLists): void {
  const registry = (shared[key] ??= new Map());
  const copies = registry.get(token) ?? { classes: new Set(), lists: new Set() };
  registry.set(token, copies);

  lists.providers.push({ provide: token, useExisting: ownClass });
  lists.exports.push(token);
  for (const other of copies.classes) offer(other, token, lists);
  for (const others of copies.lists) offer(ownClass, token, others);
  copies.classes.add(ownClass);
  copies.lists.add(lists);
}

function offer(other: Class, token: symbol, { providers, exports }: ModuleLists): void {
  providers.push({ provide: other, useExisting: token });
  exports.push(other);
}
