/** Items of one kind, by name, each as it was last told. */
export type Told = Map<string, string>;

/** Those that differ from what was told of them, which is that from now on. */
export function changedOf<Item extends { readonly name: string }>(
  items: readonly Item[],
  told: Told,
): Item[] {
  return items.filter((item) => {
    const text = JSON.stringify(item);
    const isNew = told.get(item.name) !== text;
    if (isNew) told.set(item.name, text);
    return isNew;
  });
}

/** Those that stand otherwise than was told of them are told with the next look, whatever they are by then. */
export function forgetOther(items: readonly { readonly name: string }[], told: Told): void {
  for (const item of items) if (told.get(item.name) !== JSON.stringify(item)) told.delete(item.name);
}
