import { assert, constantFrom, property, record, string } from 'fast-check';
import { expect, it } from 'vitest';
import {
  hrefOf,
  jobStates,
  noFilter,
  placeOf,
  type Route,
  sectionOf,
  sections,
} from '../../dashboard/routes.js';

const name = string({ minLength: 1, unit: 'grapheme' });

it('reads the addresses that it makes', () => {
  const all = record({
    name,
    id: name,
    state: constantFrom(...jobStates),
    section: constantFrom(...sections),
  });
  assert(
    property(all, record({ text: string(), status: string() }), (some, filter) => {
      const routes: Route[] = [
        { page: some.section },
        { page: 'worker', name: some.name },
        { page: 'task-queue', name: some.name },
        { page: 'queue', queue: some.name },
        { page: 'queue-jobs', queue: some.name, state: some.state },
        { page: 'job', queue: some.name, id: some.id },
      ];
      for (const route of routes) expect(placeOf(hrefOf(route, filter))).toEqual({ route, filter });
    }),
  );
});

it.each(['', '#', '#/', '#/workers', '#workers/'])('takes %j for the workers', (hash) => {
  expect(placeOf(hash)).toEqual({ route: { page: 'workers' }, filter: noFilter });
});

it.each([
  '#/nonsense',
  '#/workers/a/b',
  '#/commands/x',
  '#/jobs/q/nonsense',
  '#/jobs/q/dead/x',
  '#/a/b/c/d/e/f',
])('does not know %j', (hash) => {
  expect(placeOf(hash).route).toEqual({ page: 'unknown' });
});

it('never throws', () => {
  assert(property(string(), (text) => void placeOf(`#/jobs/%${text}`)));
  expect(placeOf('#/workers/%E0%A4%A').route).toEqual({ page: 'worker', name: '%E0%A4%A' });
});

it('says to which section a page belongs', () => {
  expect(sectionOf({ page: 'job', queue: 'q', id: '1' })).toBe('jobs');
  expect(sectionOf({ page: 'task-queue', name: 't' })).toBe('tasks');
  expect(sectionOf({ page: 'worker', name: 'w' })).toBe('workers');
  expect(sectionOf({ page: 'commands' })).toBe('commands');
});
