/** What wraps bytes that are no JSON, such as MessagePack: BullMQ keeps JSON only. */
const bytesKey = 'nestjs-worker:bytes';

const toBytes = new TextEncoder();
const toText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Whether a JSON text can be kept as it is. */
export type KeepsText = (text: string) => boolean;

/** The same, where it is parsed, and written again, before it comes back. */
export const keepsParsed =
  (keeps: KeepsText): KeepsText =>
  (text) =>
    keeps(text) && JSON.stringify(JSON.parse(text)) === text;

/** Bytes as JSON: as they are where they are JSON, so that anybody can read them, and wrapped otherwise. */
export function jsonOf(bytes: Uint8Array, keeps: KeepsText): string {
  const text = jsonTextOf(bytes);
  if (text !== undefined && keeps(text)) return text;
  return JSON.stringify({ [bytesKey]: Buffer.from(bytes).toString('base64') });
}

/** The bytes that JSON stands for. */
export function bytesOf(json: string): Uint8Array {
  // Cheaper than parsing each, which whoever decodes it does anyway.
  if (json.startsWith(`{"${bytesKey}"`)) {
    const { [bytesKey]: wrapped } = JSON.parse(json) as Record<string, unknown>;
    if (typeof wrapped === 'string') return new Uint8Array(Buffer.from(wrapped, 'base64'));
  }
  return toBytes.encode(json);
}

/** The value that bytes stand for in BullMQ. */
export function valueOf(bytes: Uint8Array, keeps: KeepsText): unknown {
  return JSON.parse(jsonOf(bytes, keeps));
}

function jsonTextOf(bytes: Uint8Array): string | undefined {
  // Most of what is no JSON shows by its first byte.
  if (bytes.length === 0 || !startsJson(bytes[0]!)) return undefined;
  try {
    const text = toText.decode(bytes);
    const value: unknown = JSON.parse(text);
    // What looks as if we had wrapped it is wrapped, for there would be no telling it apart.
    const isWrapped = typeof value === 'object' && value !== null && Object.hasOwn(value, bytesKey);
    return isWrapped ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Of `{ [ " - t f n` and digits. */
function startsJson(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || [0x7b, 0x5b, 0x22, 0x2d, 0x74, 0x66, 0x6e].includes(byte);
}
