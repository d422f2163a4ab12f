/** For tests in TypeScript. */
export interface Broken {
  readonly what: string;
  readonly count: number;
  readonly examples: readonly string[];
}

/** Of the figures, those that tests look at. */
export interface Figures {
  readonly again: ReadonlyMap<string, number>;
  /** Milliseconds. */
  readonly takeovers: readonly number[];
}

export function examine(world: object): {
  readonly figures: Figures;
  readonly broken: readonly Broken[];
};
