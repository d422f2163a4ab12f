import type { ConformanceRunner } from 'nestjs-worker/testing';

/** Declares only those parts of the conformance suite whose names fit, and the whole that they are of. */
export function onlyParts(
  declare: ConformanceRunner['describe'],
  names: RegExp,
): ConformanceRunner['describe'] {
  return (name, body) =>
    name.startsWith('the job backend') || names.test(name) ? declare(name, body) : undefined;
}
