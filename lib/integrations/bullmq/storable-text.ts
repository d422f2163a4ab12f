/** A text that either store takes: PostgreSQL has no form for a NUL, and neither has one for half of a character. */
export function storableText(text: string): string {
  return Buffer.from(text.replaceAll('\0', '')).toString();
}

/** JSON of texts that either store takes. */
export function storableJson(value: object): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'string' ? storableText(part) : part));
}
