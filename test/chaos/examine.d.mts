/** For tests in TypeScript. */
export interface Broken {
  readonly what: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export function examine(world: object): {
  readonly figures: Readonly<Record<string, number>>;
  readonly broken: readonly Broken[];
};
