/** States by which jobs can be browsed, those that an operator looks for first. */
export const jobStates = ['ready', 'active', 'scheduled', 'dead', 'completed', 'cancelled'] as const;
export type JobState = (typeof jobStates)[number];

/** The lists, each of which is a section of its own. */
export const sections = ['workers', 'tasks', 'jobs', 'commands'] as const;
export type Section = (typeof sections)[number];

export type Route =
  | { readonly page: Section }
  | { readonly page: 'worker' | 'task-queue'; readonly name: string }
  | { readonly page: 'queue'; readonly queue: string }
  | { readonly page: 'queue-jobs'; readonly queue: string; readonly state: JobState }
  | { readonly page: 'job'; readonly queue: string; readonly id: string }
  | { readonly page: 'unknown' };

/** What a list is narrowed down to; empty: not at all. */
export interface Filter {
  readonly text: string;
  readonly status: string;
}

export interface Place {
  readonly route: Route;
  readonly filter: Filter;
}

export const noFilter: Filter = { text: '', status: '' };

/** Reads the part of an address behind `#`. Never throws: what makes no sense is the page `unknown`. */
export function placeOf(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?', 2);
  const search = new URLSearchParams(query);
  return {
    route: routeOf(path.split('/').map(decoded)),
    filter: { text: search.get('text') ?? '', status: search.get('status') ?? '' },
  };
}

function routeOf([first = '', second = '', third = '', fourth = '', ...more]: string[]): Route {
  if (more.length > 0) return { page: 'unknown' };
  if (first === '') return { page: 'workers' };
  const section = sections.find((one) => one === first);
  if (section === undefined) return { page: 'unknown' };
  if (second === '') return { page: section };
  if (section === 'jobs') return jobRoute(second, third, fourth);
  if (third !== '' || section === 'commands') return { page: 'unknown' };
  return { page: section === 'workers' ? 'worker' : 'task-queue', name: second };
}

function jobRoute(queue: string, third: string, id: string): Route {
  if (third === '') return { page: 'queue', queue };
  if (third === 'job' && id !== '') return { page: 'job', queue, id };
  const state = jobStates.find((one) => one === third);
  return state === undefined || id !== '' ? { page: 'unknown' } : { page: 'queue-jobs', queue, state };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a page, as links have it. */
export function hrefOf(route: Route, filter: Filter = noFilter): string {
  const path = pathOf(route).map(encodeURIComponent).join('/');
  const search = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== '')).toString();
  return `#/${path}${search === '' ? '' : `?${search}`}`;
}

function pathOf(route: Route): string[] {
  switch (route.page) {
    case 'worker':
      return ['workers', route.name];
    case 'task-queue':
      return ['tasks', route.name];
    case 'queue':
      return ['jobs', route.queue];
    case 'queue-jobs':
      return ['jobs', route.queue, route.state];
    case 'job':
      return ['jobs', route.queue, 'job', route.id];
    case 'unknown':
      return ['workers'];
    default:
      return [route.page];
  }
}

/** The section that a page belongs to. */
export function sectionOf({ page }: Route): Section {
  switch (page) {
    case 'worker':
    case 'unknown':
      return 'workers';
    case 'task-queue':
      return 'tasks';
    case 'queue':
    case 'queue-jobs':
    case 'job':
      return 'jobs';
    default:
      return page;
  }
}
