import * as z from 'zod';

// A scanner that has lost its clock begins in 1970 again.
const earliest = Date.parse('2020-01-01T00:00:00Z');

/** Somebody in a depot held a scanner to a parcel. */
export const Scan = z.object({
  at: z.iso.datetime().refine((at) => Date.parse(at) >= earliest, 'The scanner has lost its clock'),
  /** SSCC of the parcel. */
  parcel: z.string().regex(/^\d{18}$/),
  depot: z.string().regex(/^[A-Z]{3}$/),
  scanner: z.string(),
  event: z.enum(['accepted', 'departed', 'sorted', 'arrived', 'out-for-delivery', 'not-home', 'delivered']),
  grams: z.int().positive().optional(),
});
export type Scan = z.infer<typeof Scan>;

/** Reads a line of a depot's file; answers nothing for a line that is no scan. */
export function parseScan(line: string): Scan | undefined {
  try {
    return Scan.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
