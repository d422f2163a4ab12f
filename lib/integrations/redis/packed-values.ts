/**
 * Many values as one argument of a script: each as 4 bytes that say how long it is, and its bytes. A client takes longer
 * to write thousands of arguments than Redis takes to take one apart.
 */
export function packValues(values: readonly (string | Buffer)[]): Buffer {
  let length = 0;
  for (const value of values) length += 4 + Buffer.byteLength(value);
  const packed = Buffer.allocUnsafe(length);
  let at = 0;
  for (const value of values) {
    const start = at + 4;
    const size = typeof value === 'string' ? packed.write(value, start) : value.copy(packed, start);
    packed.writeUInt32BE(size, at);
    at = start + size;
  }
  return packed;
}
