/** What a subscriber is told. */
export type Notification =
  | { readonly event: 'ping' }
  | {
      readonly event: 'file-ingested';
      readonly file: string;
      readonly scans: number;
      readonly refused: number;
    };
