import type { JobPage } from './job-backend.js';

/**
 * Does something to jobs of one state that takes them out of it, page by page, for as many as there were at the
 * beginning: what comes to that state meanwhile does not keep it going. Answers how often `act` says that it did.
 */
export async function throughPages(
  most: number,
  list: (cursor: string | undefined) => Promise<JobPage>,
  act: (ids: readonly string[]) => Promise<readonly boolean[]>,
  /** Whether jobs may come back to that state while this goes on. */
  mayComeBack: boolean,
): Promise<number> {
  const passed = new Set<string>();
  let left = most;
  let done = 0;
  let cursor: string | undefined;
  while (left > 0) {
    const page = await list(cursor);
    const ids = page.jobs.flatMap(({ id }) => (passed.has(id) ? [] : [id])).slice(0, left);
    if (ids.length === 0) {
      if (page.cursor === undefined) break;
      cursor = page.cursor;
      continue;
    }
    left -= ids.length;
    (await act(ids)).forEach((acted, index) => {
      if (acted) done++;
      if (!acted || mayComeBack) passed.add(ids[index]!);
    });
    // What is left has moved up.
    cursor = undefined;
  }
  return done;
}
