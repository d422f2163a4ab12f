import { InvalidOptionError } from '../errors/index.js';
import { OptionReader } from '../execution/index.js';
import type { HttpCommand } from './documents/command.js';

/** What the module was told, beside its guards. */
export interface HttpOptions {
  /**
   * Says aloud that nobody is kept out, for an app that only a trusted network reaches. Without guards and without this the app
   * does not boot. Default false.
   */
  readonly allowUnauthenticated?: boolean | undefined;
  /** Longest body that is read, in bytes. What the app's own parser takes less of stays refused. Default 1 MiB. */
  readonly bodyLimit?: number | undefined;
  /**
   * What requests of gocraft/work's contract have to call this app's namespace. Default: that of the backend, or `work` where
   * it has none.
   */
  readonly namespace?: string | undefined;
  /** Whether the dashboard is served. Default true. */
  readonly dashboard?: boolean | undefined;
  /** Of the dashboard. Default `'Background work'`. */
  readonly title?: string | undefined;
  /**
   * How people sign in to the dashboard:
   * - `'browser'`: with what the browser sends by itself: a cookie, Basic or a proxy's headers (default);
   * - `'token'`: the page asks for an `Authorization` header and sends it with each request. The page itself, which holds no
   *   data, is then served to anybody.
   */
  readonly signIn?: 'browser' | 'token' | undefined;
  /** Shows payloads, results, headers and stacks to viewers too. Default false. */
  readonly showAllToViewers?: boolean | undefined;
  /** Origins of other sites whose pages may send commands, such as `https://ops.example.com`. Default: none. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** Who sends a request, for the audit. Default: `id`, `sub`, `username`, `email` or `name` of `request.user`. */
  readonly actor?: ((request: never) => string | undefined) | undefined;
  /** Told of each command, after it was answered. What it throws is counted and logged. */
  readonly onCommand?: ((command: HttpCommand) => unknown) | undefined;
}

export interface ResolvedHttpOptions {
  readonly guards: readonly unknown[];
  readonly readOnlyGuards: readonly unknown[] | undefined;
  readonly bodyLimit: number;
  readonly namespace: string | undefined;
  readonly dashboard: boolean;
  readonly title: string;
  readonly signIn: 'browser' | 'token';
  readonly showAllToViewers: boolean;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly actor: ((request: never) => string | undefined) | undefined;
  readonly onCommand: ((command: HttpCommand) => unknown) | undefined;
}

const names = [
  'guards',
  'readOnlyGuards',
  'allowUnauthenticated',
  'bodyLimit',
  'namespace',
  'dashboard',
  'title',
  'signIn',
  'showAllToViewers',
  'allowedOrigins',
  'actor',
  'onCommand',
];

/** Checks the options, and completes them. Throws `InvalidOptionError`. */
export function resolveHttpOptions(options: object, owner: string): ResolvedHttpOptions {
  const reader = new OptionReader(owner, options, names);
  const text = (name: string): string | undefined => {
    const value = reader.get(name);
    if (value === undefined || (typeof value === 'string' && value !== '')) return value;
    return reader.refuse(name, 'a text', 'Give one, or leave it out.');
  };
  const callable = (name: string): never | undefined => {
    const value = reader.get(name);
    if (value === undefined || typeof value === 'function') return value as never;
    return reader.refuse(name, 'a function', 'Give one, or leave it out.');
  };
  const guards = readGuards(reader, 'guards') ?? [];
  const readOnlyGuards = readGuards(reader, 'readOnlyGuards');
  const open = reader.flag('allowUnauthenticated', false);
  if (guards.length === 0 && !open) {
    throw new InvalidOptionError({
      owner,
      option: 'guards',
      given: reader.get('guards'),
      accepted: 'one guard or more, since whoever gets through may read and delete jobs',
      cure: 'Write guards: [AdminGuard], or say aloud that everybody may: allowUnauthenticated: true.',
    });
  }
  if (guards.length > 0 && open) {
    reader.refuse('allowUnauthenticated', 'false beside guards', 'Leave out the one or the other.');
  }
  if (readOnlyGuards !== undefined && guards.length === 0) {
    reader.refuse('readOnlyGuards', 'nothing without guards', 'Add guards, which say who may do all.');
  }
  return {
    guards,
    readOnlyGuards,
    bodyLimit: reader.count('bodyLimit', 1_048_576, { min: 1 }),
    namespace: text('namespace'),
    dashboard: reader.flag('dashboard', true),
    title: text('title') ?? 'Background work',
    signIn: reader.oneOf('signIn', 'browser', ['browser', 'token']),
    showAllToViewers: reader.flag('showAllToViewers', false),
    allowedOrigins: readOrigins(reader),
    actor: callable('actor'),
    onCommand: callable('onCommand'),
  };
}

function readGuards(reader: OptionReader, name: string): readonly unknown[] | undefined {
  const guards = reader.get(name);
  if (guards === undefined) return undefined;
  const fits =
    Array.isArray(guards) &&
    guards.every(
      (guard: unknown) =>
        typeof guard === 'function' ||
        typeof (guard as { canActivate?: unknown } | null)?.canActivate === 'function',
    );
  if (fits && (name === 'guards' || guards.length > 0)) return guards;
  return reader.refuse(
    name,
    name === 'guards' ? 'a list of guards' : 'a list of one guard or more',
    'Give classes with canActivate(), or instances of them.',
  );
}

const isOrigin = (origin: unknown): boolean =>
  typeof origin === 'string' && URL.canParse(origin) && new URL(origin).origin === origin;

function readOrigins(reader: OptionReader): ReadonlySet<string> {
  const origins = reader.get('allowedOrigins') ?? [];
  if (Array.isArray(origins) && origins.every(isOrigin)) return new Set(origins as string[]);
  return reader.refuse(
    'allowedOrigins',
    "a list of origins, such as ['https://ops.example.com']",
    'Write scheme and host, without a path and without a slash at the end.',
  );
}
