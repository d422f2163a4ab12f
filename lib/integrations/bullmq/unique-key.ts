/** Before keys that BullMQ would take for none, and those that begin with it. */
const escape = '=';

/** What BullMQ knows a unique key by: the same, but no empty text. */
export function toDeduplicationId(key: string): string {
  return key === '' || key.startsWith(escape) ? escape + key : key;
}

export function fromDeduplicationId(id: string): string {
  return id.startsWith(escape) ? id.slice(escape.length) : id;
}
