import { describe, expect, it } from 'vitest';
import { queryInTurn } from '../../../lib/integrations/bullmq/pool-turns.js';

/** A pool whose queries end when they are told to. */
function makePool(max: number) {
  const asked: { readonly name: string; readonly end: (error?: Error) => void }[] = [];
  const pool = {
    options: { max },
    query: (name: string): Promise<string> =>
      new Promise((resolve, reject) => {
        asked.push({ name, end: (error) => (error ? reject(error) : resolve(`${name}!`)) });
      }),
  };
  queryInTurn(pool);
  return { pool, asked, names: () => asked.map(({ name }) => name) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the queries of a pool', () => {
  it('are made in the order in which they came, no more at once than there are connections', async () => {
    const { pool, asked, names } = makePool(2);
    const answers = ['a', 'b', 'c', 'd'].map((name) => pool.query(name));
    await turn();
    expect(names()).toEqual(['a', 'b']);
    asked[1]!.end();
    await turn();
    expect(names()).toEqual(['a', 'b', 'c']);
    asked[0]!.end();
    asked[2]!.end();
    await turn();
    asked[3]!.end();
    expect(await Promise.all(answers)).toEqual(['a!', 'b!', 'c!', 'd!']);
    void pool.query('e');
    void pool.query('f');
    void pool.query('g');
    await turn();
    expect(names().slice(4)).toEqual(['e', 'f']);
  });

  it('go on after one that failed, also after very many', async () => {
    const { pool, asked, names } = makePool(1);
    const answers = Array.from({ length: 2_500 }, (_, index) => pool.query(`${index}`).catch(() => 'failed'));
    for (let index = 0; index < 2_500; index++) {
      await turn();
      expect(asked).toHaveLength(index + 1);
      asked[index]!.end(index % 2 === 0 ? new Error('no') : undefined);
    }
    expect((await Promise.all(answers)).slice(0, 3)).toEqual(['failed', '1!', 'failed']);
    expect(names()).toEqual(Array.from({ length: 2_500 }, (_, index) => `${index}`));
  });
});
