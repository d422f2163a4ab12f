interface Queries {
  query(...args: unknown[]): unknown;
  readonly options: { readonly max: number };
}

/** So many that have had their turn are forgotten at once: one by one would cost as much as there are others. */
const mostGone = 1_000;

/**
 * Has a pool of pg make no more queries at once than it has connections: the others wait here. There they would wait for no
 * longer than it may take to connect, however many are asked for together.
 */
export function queryInTurn(pool: object): void {
  const queries = pool as Queries;
  const query = queries.query.bind(pool);
  const waiting: (() => void)[] = [];
  let first = 0;
  let free = queries.options.max;
  const done = (): void => {
    const next = waiting[first];
    if (next === undefined) {
      free++;
      return;
    }
    if (++first === waiting.length || first === mostGone) {
      waiting.splice(0, first);
      first = 0;
    }
    next();
  };
  const run = async (args: unknown[]): Promise<unknown> => {
    try {
      return await query(...args);
    } finally {
      done();
    }
  };
  queries.query = (...args) => {
    if (free > 0) {
      free--;
      return run(args);
    }
    return new Promise<void>((resolve) => waiting.push(resolve)).then(() => run(args));
  };
}
