export interface Fault {
  readonly fault: string;
  readonly request: Readonly<Record<string, unknown>>;
  readonly sent: Readonly<Record<string, unknown>>;
  readonly answer?: { readonly status: number; readonly body: string };
}

export interface FuzzReport {
  readonly seed: number;
  readonly done: number;
  readonly ms: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly kinds: Readonly<Record<string, number>>;
  readonly faults: readonly Fault[];
}

export function fuzz(options: {
  readonly base: string;
  readonly document: object;
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}): Promise<FuzzReport>;

export function faultOf(
  document: object,
  request: {
    readonly kind: string;
    readonly id: string;
    readonly path: string;
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
  },
  answer: { readonly status: number; readonly body: string; readonly type: string },
): string | undefined;
