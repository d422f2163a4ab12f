import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { PeerNotFoundError } from '../../errors/index.js';
import {
  currentContext,
  type LogFields,
  logFields,
  LogLine,
  type WorkLogger,
} from '../../execution/index.js';
import { NestWorkLogger, type Pool, POOL } from '../../pool/index.js';

type Bindings = Readonly<Record<string, string>>;
type RunInContext = (run: () => Promise<unknown>, options: { bindings: Bindings }) => Promise<unknown>;

/** The part of nestjs-pino's `PinoLogger` that we use. */
interface PinoLoggerLike {
  readonly logger: { child(bindings: Bindings): unknown };
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
    const runInContext = await contextRunner(await this.#findPinoLogger());
    this.pool.use((ctx, next) =>
      runInContext(next, { bindings: logFields(ctx.kind, ctx.name, ctx.executionId) }),
    );
    this.pool.useLogger(new NamedByContextLogger());
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

/** Inside a run the pino context names the execution already; saying it twice would put each field there twice. */
class NamedByContextLogger extends NestWorkLogger {
  override child(fields: LogFields): WorkLogger {
    return new NamedByContextLogger({ ...this.bound, ...fields });
  }

  protected override line(message: string, fields?: LogFields): LogLine {
    const ctx = currentContext();
    const all = { ...this.bound, ...fields };
    if (ctx === undefined) return new LogLine(message, all);
    const named = logFields(ctx.kind, ctx.name, ctx.executionId);
    return new LogLine(
      message,
      Object.fromEntries(Object.entries(all).filter(([key, value]) => named[key] !== value)),
    );
  }
}

async function contextRunner(pino: PinoLoggerLike): Promise<RunInContext> {
  if (typeof pino.runInContext === 'function') return (run, options) => pino.runInContext!(run, options);
  const { storage, Store } = await storageOfVersion4();
  return (run, { bindings }) => storage.run(new Store(pino.logger.child(bindings)), run);
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
