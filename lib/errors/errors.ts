import { WorkError } from './work-error.js';

export class DuplicateNameError extends WorkError {
  readonly code = 'DUPLICATE_NAME';
  constructor(kind: string, name: string, first: string, second: string, cure = cureFor(kind, name)) {
    super(
      `Two of kind ${kind} are named "${name}": ${first} and ${second}. Give one of them another name, for example ${cure}`,
    );
  }
}

export class WorkerNotFoundError extends WorkError {
  readonly code = 'WORKER_NOT_FOUND';
  constructor(name: string, known: readonly string[]) {
    const list = known.length === 0 ? 'none is registered' : `registered are ${quoteSome(known)}`;
    super(`No worker is named "${name}"; ${list}.`);
  }
}

export class WorkerWithoutRunError extends WorkError {
  readonly code = 'WORKER_WITHOUT_RUN';
  constructor(owner: string) {
    super(
      `${owner} is a worker but has no run() method. Add \`async run(ctx: WorkerContext): Promise<void>\`, ` +
        'or remove @Worker() from the class.',
    );
  }
}

export class WorkerNotStaticError extends WorkError {
  readonly code = 'WORKER_NOT_STATIC';
  constructor(owner: string, scope: 'request-scoped' | 'transient') {
    const cause =
      scope === 'request-scoped'
        ? 'it, or something that it injects, has Scope.REQUEST, and a worker runs outside of any request'
        : 'it has Scope.TRANSIENT, and a worker is one instance';
    super(
      `${owner} is ${scope}: ${cause}. Remove the scope, or inject ModuleRef and resolve() the scoped provider ` +
        'inside run().',
    );
  }
}

export class WorkerDisabledError extends WorkError {
  readonly code = 'WORKER_DISABLED';
  constructor(name: string) {
    super(
      `Worker "${name}" is disabled and cannot be started. ` +
        'Set `enabled: true` on the worker and on WorkerModule.forRoot() to run it in this process.',
    );
  }
}

export class WorkerStuckError extends WorkError {
  readonly code = 'WORKER_STUCK';
  constructor(name: string, executionId: string) {
    super(
      `Worker "${name}" cannot be started: its execution ${executionId} was told to end and still runs, and a ` +
        'worker never runs beside itself. Let run() end when ctx.signal aborts; only a new process clears this one.',
    );
  }
}

export class PoolStoppingError extends WorkError {
  readonly code = 'POOL_STOPPING';
  constructor(what: string) {
    super(
      `${what} was refused: the pool is shutting down. Do not add or start work once ctx.shutdown has fired.`,
    );
  }
}

export class PoolConfiguredLateError extends WorkError {
  readonly code = 'POOL_CONFIGURED_LATE';
  constructor(owner: string, first: string) {
    super(
      `The options of ${owner} came after "${first}" had been registered, which knows nothing of them. What is ` +
        'registered by hand is to be so in onModuleInit() or later, not in a constructor.',
    );
  }
}

export class PoolOptionsConflictError extends WorkError {
  readonly code = 'POOL_OPTIONS_CONFLICT';
  constructor(differing: readonly string[]) {
    super(
      `The pool of workers and queues was configured twice with different options (${differing.join(', ')}). There ` +
        'is one pool in an app: call forRoot() or forRootAsync() of WorkerModule or JobsModule, or forRoot() of ' +
        'TaskQueueModule, once, in the root module, and import plain WorkerModule elsewhere.',
    );
  }
}

export class MiddlewareNotFoundError extends WorkError {
  readonly code = 'MIDDLEWARE_NOT_FOUND';
  constructor(middleware: string, owner: string) {
    super(
      `Middleware ${middleware} of ${owner} is not provided in any module, or is request-scoped or transient. ` +
        `Add ${middleware} to the providers of a module, without a scope, or pass a function instead.`,
    );
  }
}

export class NextCalledTwiceError extends WorkError {
  readonly code = 'NEXT_CALLED_TWICE';
  constructor(middleware: string) {
    super(
      `Middleware ${middleware} called next() twice in one attempt. Call it at most once, and return what it returns.`,
    );
  }
}

export class PeerNotFoundError extends WorkError {
  readonly code = 'PEER_NOT_FOUND';
  constructor(integration: string, missing: string, cure: string) {
    super(`${integration} was imported, but ${missing}. ${cure}`);
  }
}

function cureFor(kind: string, name: string): string {
  const register = { 'task-queue': 'TaskQueueModule.register', 'job-queue': 'JobsModule.registerQueue' }[
    kind
  ];
  return register === undefined
    ? `@Worker({ name: '${name}-2' }), or provide the class in one module only.`
    : `${register}({ name: '${name}-2' }), or import what one call of it returned in both places.`;
}

function quoteSome(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((name) => `"${name}"`);
  const rest = names.length - shown.length;
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ');
}
