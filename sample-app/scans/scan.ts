export const scanEvents = [
  'accepted',
  'departed',
  'sorted',
  'arrived',
  'out-for-delivery',
  'not-home',
  'delivered',
] as const;

/** Somebody in a depot held a scanner to a parcel. */
export interface Scan {
  readonly at: string;
  /** SSCC of the parcel, 18 digits. */
  readonly parcel: string;
  readonly depot: string;
  readonly scanner: string;
  readonly event: (typeof scanEvents)[number];
  readonly grams?: number;
}

// A scanner that has lost its clock begins in 1970 again.
const earliest = Date.parse('2020-01-01T00:00:00Z');

/** Reads a line of a depot's file; answers nothing for a line that is no scan. */
export function parseScan(line: string): Scan | undefined {
  let scan: Partial<Scan> | null;
  try {
    scan = JSON.parse(line) as Partial<Scan> | null;
  } catch {
    return undefined;
  }
  return isScan(scan) ? scan : undefined;
}

function isScan(scan: Partial<Scan> | null): scan is Scan {
  return (
    typeof scan === 'object' &&
    scan !== null &&
    Date.parse(String(scan.at)) >= earliest &&
    /^\d{18}$/.test(String(scan.parcel)) &&
    /^[A-Z]{3}$/.test(String(scan.depot)) &&
    typeof scan.scanner === 'string' &&
    scanEvents.some((event) => event === scan.event)
  );
}
