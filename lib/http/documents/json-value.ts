import { toErrorInfo } from '../../events/index.js';

/** Deeper than that, a value is cut: whoever looks at a job is no parser of everything. */
const deepest = 64;

/**
 * What JSON can hold of a value that a codec decoded: bytes become `{ $bytes: base64 }`, a big number or a date its text, a Map an
 * object. Never throws.
 */
export function toJsonValue(value: unknown): unknown {
  try {
    return converted(value, 0) ?? null;
  } catch (error) {
    return { $unreadable: toErrorInfo(error).message };
  }
}

function converted(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'undefined':
      return undefined;
    case 'object':
      return value === null ? null : convertedObject(value, depth);
    default:
      return String(value);
  }
}

function convertedObject(value: object, depth: number): unknown {
  if (depth > deepest) return '…';
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (Array.isArray(value)) return value.map((one) => converted(one, depth + 1) ?? null);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(
    entries.flatMap(([key, one]): [string, unknown][] => {
      const shown = converted(one, depth + 1);
      return shown === undefined ? [] : [[String(key), shown]];
    }),
  );
}
