import type {
  DynamicModule,
  INestApplication,
  INestApplicationContext,
  LoggerService,
  ModuleMetadata,
  Type,
} from '@nestjs/common';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  type RunnableWorker,
  type WorkerContext,
  WorkerPoolService,
  type WorkEventType,
} from 'nestjs-worker';
import { type EventRecorder, recordEvents } from 'nestjs-worker/testing';
import { onTestFinished } from 'vitest';

export const platforms = ['express', 'fastify'] as const;
export type Platform = (typeof platforms)[number];
export type RootModule = ModuleMetadata | Type | DynamicModule;

/** What a test may be booted with. */
export interface BootOptions {
  /** Default: nothing is logged. */
  readonly logger?: LoggerService | false;
}

export interface HttpApp {
  readonly app: INestApplication;
  /** Without a slash at its end. */
  readonly url: string;
}

/** A module class with this metadata, under a name that messages can be looked through for. */
export function moduleNamed(name: string, metadata: ModuleMetadata): Type {
  const named = { [name]: class {} }[name] as Type;
  Module(metadata)(named);
  return named;
}

/** Boots a standalone application context, and closes it when the test is over. */
export async function bootContext(
  root: RootModule,
  { logger = false }: BootOptions = {},
): Promise<INestApplicationContext> {
  const app = await NestFactory.createApplicationContext(rootModule(root), { logger, abortOnError: false });
  onTestFinished(() => app.close());
  return app;
}

/** Makes an app without initialising it. It is closed when the test is over. */
export async function createApp(
  root: RootModule,
  platform: Platform = 'express',
  { logger = false }: BootOptions = {},
): Promise<INestApplication> {
  // Nest 11 does not pass it on to Fastify.
  const adapter =
    platform === 'express' ? new ExpressAdapter() : new FastifyAdapter({ forceCloseConnections: true });
  const app = await NestFactory.create(rootModule(root), adapter, {
    logger,
    abortOnError: false,
    forceCloseConnections: true,
  });
  onTestFinished(() => app.close());
  return app;
}

/** Boots an app that listens on a free port. */
export async function bootHttp(
  root: RootModule,
  platform: Platform = 'express',
  options: BootOptions = {},
): Promise<HttpApp> {
  const app = await createApp(root, platform, options);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  return { app, url: `http://127.0.0.1:${port}` };
}

/** The error that booting ends with. */
export async function bootError(root: RootModule): Promise<Error & { code?: string }> {
  try {
    const app = await NestFactory.createApplicationContext(rootModule(root), {
      logger: false,
      abortOnError: false,
    });
    await app.close();
  } catch (error) {
    return error as Error;
  }
  throw new Error('It booted.');
}

export function poolOf(app: INestApplicationContext): WorkerPoolService {
  return app.get(WorkerPoolService);
}

/** Names of the app's workers, in the order in which they were registered. */
export function workerNames(app: INestApplicationContext): string[] {
  return poolOf(app)
    .registrations()
    .map(({ name }) => name);
}

export function recordEventsOf(app: INestApplicationContext): EventRecorder {
  const recorder = recordEvents(poolOf(app));
  onTestFinished(() => recorder.stop());
  return recorder;
}

/** Waits for an event, of any worker or of the one named, that may have happened during boot. */
export async function happened(
  app: INestApplicationContext,
  type: WorkEventType,
  name?: string,
): Promise<void> {
  const recorder = recordEventsOf(app);
  const executions = poolOf(app).executions();
  if (executions.some((one) => (name === undefined || one.name === name) && one.hasEvent(type))) return;
  await recorder.next(type, name === undefined ? {} : { name });
}

/** Runs until it is told to end, as most workers do. */
export class UntilAborted implements RunnableWorker {
  runs = 0;

  async run(ctx: WorkerContext): Promise<void> {
    this.runs++;
    await ctx.sleep('1 day');
  }
}

/** A promise that a test settles. */
export interface Signal<T = void> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function signal<T = void>(): Signal<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}

/** What `act` throws. */
export function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('It threw nothing.');
}

/** Lets everything happen that is about to. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Everything that Nest's `Logger` is given. */
export class LogRecorder implements LoggerService {
  readonly lines: { level: string; message: unknown; context: unknown }[] = [];

  constructor() {
    onTestFinished(() => Logger.overrideLogger(false));
  }

  /** The lines of one level (or all) that come from workers, as text. */
  texts(level?: string): string[] {
    return this.lines
      .filter((line) => line.context === 'Worker' && (level === undefined || line.level === level))
      .map(({ message }) => (message as { msg: string }).msg);
  }

  log = (message: unknown, context?: unknown): void => this.#add('log', message, context);
  debug = (message: unknown, context?: unknown): void => this.#add('debug', message, context);
  warn = (message: unknown, context?: unknown): void => this.#add('warn', message, context);
  error = (message: unknown, ...rest: unknown[]): void => this.#add('error', message, rest.at(-1));

  #add(level: string, message: unknown, context: unknown): void {
    this.lines.push({ level, message, context });
  }
}

function rootModule(root: RootModule): Type | DynamicModule {
  return typeof root === 'function' || 'module' in root ? root : moduleNamed('AppModule', root);
}
