import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { PeerNotFoundError } from '../../errors/index.js';
import { logFields } from '../../execution/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import { type PinoSource, PinoWorkLogger } from './pino-work-logger.js';

type Bindings = Readonly<Record<string, string>>;
/** `inherit`: with the fields of the logger that is current where it is called, such as a request's. */
type RunInContext = (
  run: () => Promise<unknown>,
  options: { bindings: Bindings; inherit: boolean },
) => Promise<unknown>;

/** The part of nestjs-pino's `PinoLogger` that we use. */
interface PinoLoggerLike extends PinoSource {
  readonly logger: PinoSource['logger'] & {
    child(bindings: Bindings): unknown;
    bindings(): Readonly<Record<string, unknown>>;
  };
  /** Since nestjs-pino 5.1. */
  runInContext?: RunInContext;
}

interface StorageOfVersion4 {
  readonly storage: { run(store: unknown, fn: () => Promise<unknown>): Promise<unknown> };
  readonly Store: new (logger: unknown) => unknown;
}

/** Runs every attempt inside a pino context of its own. */
@Injectable()
export class PinoBindingsService implements OnModuleInit {
  constructor(
    @Inject(POOL) private readonly pool: Pool,
    private readonly discovery: DiscoveryService,
    private readonly moduleRef: ModuleRef,
  ) {}

  async onModuleInit(): Promise<void> {
    const pino = await this.#findPinoLogger();
    const runInContext = await contextRunner(pino);
    // Two copies of this package in one app name an execution once.
    if (!this.pool.claim(Symbol.for('nestjs-worker:logging'))) return;
    this.pool.use((ctx, next) => {
      const inherit = ctx.kind === 'task-queue' && !namesWork(pino.logger.bindings());
      return runInContext(next, { bindings: logFields(ctx), inherit });
    });
    this.pool.useLogger(new PinoWorkLogger(pino, (write) => this.pool.inScope(write)));
  }

  // By name and shape, never by class: nestjs-pino 5 is an ESM and a CommonJS package in one, and a library that
  // loads the one in an app that loads the other would look for a class that the app does not know.
  async #findPinoLogger(): Promise<PinoLoggerLike> {
    const provider = this.discovery.getProviders().find(({ name }) => name === 'PinoLogger');
    if (provider === undefined) {
      throw new PeerNotFoundError(
        'WorkerLoggingModule',
        'no module provides PinoLogger',
        'Import LoggerModule.forRoot() of nestjs-pino in the root module.',
      );
    }
    return this.moduleRef.resolve<PinoLoggerLike>(provider.token as string, undefined, { strict: false });
  }
}

async function contextRunner(pino: PinoLoggerLike): Promise<RunInContext> {
  if (typeof pino.runInContext === 'function') return (run, options) => pino.runInContext!(run, options);
  const { storage, Store } = await storageOfVersion4();
  // Here, at boot, there is no context yet.
  const root = pino.logger;
  return (run, { bindings, inherit }) =>
    storage.run(new Store((inherit ? pino.logger : root).child(bindings)), run);
}

// A task that work has submitted is in the context of that work: with its fields too, a line would name both.
function namesWork(bindings: Readonly<Record<string, unknown>>): boolean {
  return ['workerExecutionID', 'taskExecutionID', 'jobExecutionID'].some((key) => key in bindings);
}

async function storageOfVersion4(): Promise<StorageOfVersion4> {
  // Version 4 has no public way in; 5.0 closed this one before 5.1 opened `runInContext`. Not written as a
  // literal, since with version 5 installed it does not resolve.
  const path: string = 'nestjs-pino/storage.js';
  try {
    const module = (await import(path)) as StorageOfVersion4 & { default?: StorageOfVersion4 };
    return module.storage === undefined && module.default !== undefined ? module.default : module;
  } catch {
    throw new PeerNotFoundError(
      'WorkerLoggingModule',
      'the installed nestjs-pino has no way to run code in a logging context',
      'Install nestjs-pino 4.6 or later of version 4, or 5.1 or later.',
    );
  }
}
