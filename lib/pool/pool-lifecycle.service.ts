import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { MiddlewareNotFoundError } from '../errors/index.js';
import { currentContext, type Middleware } from '../execution/index.js';
import { ProviderExplorer } from '../discovery/index.js';
import type { MiddlewareClass } from './pool-options.js';
import type { Pool } from './pool.js';
import { POOL } from './pool.tokens.js';
import { ShutdownGate } from './shutdown-gate.js';
import { StartGate } from './start-gate.js';

const lifecycle = Symbol.for('nestjs-worker:lifecycle');

/** Ties the pool to the life of the Nest app: starts it after the last bootstrap hook, drains it before any other. */
@Injectable()
export class PoolLifecycleService
  implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown
{
  readonly #startGate: StartGate;
  readonly #shutdownGate: ShutdownGate;

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    private readonly explorer: ProviderExplorer,
    private readonly moduleRef: ModuleRef,
  ) {
    this.pool.instantiate = (middleware, owner) => this.#provided(middleware, owner);
    this.#startGate = new StartGate(() => this.#start());
    this.#shutdownGate = new ShutdownGate(
      (instance) => this.#drain(`${instance.constructor.name}.onModuleDestroy()`),
      () => this.pool.draining,
      () => currentContext() !== undefined,
    );
  }

  onModuleInit(): void {
    // Where two copies of the package are in one app, one of them leads.
    if (!this.pool.claim(lifecycle)) return;
    this.#startGate.watch(this.explorer.instances());
  }

  /** Does nothing itself: it is the hook that the gate counts out when the app has none. */
  onApplicationBootstrap(): void {}

  async onModuleDestroy(): Promise<void> {
    await this.#drain('the application');
  }

  onApplicationShutdown(): void {
    this.#shutdownGate.release();
  }

  #drain(caller: string): Promise<unknown> {
    this.#startGate.shut();
    // Whoever calls such a hook by hand closes the pool, and should find out why.
    if (!this.pool.draining) this.pool.say('debug', `Shutdown begins with ${caller}`);
    return this.pool.close();
  }

  #provided(middleware: MiddlewareClass, owner: string): Middleware {
    try {
      return this.moduleRef.get<Middleware>(middleware, { strict: false });
    } catch {
      throw new MiddlewareNotFoundError(middleware.name, owner);
    }
  }

  #start(): void {
    const others = [...this.explorer.instances()].filter((instance) => instance !== this);
    const refused = this.#shutdownGate.guard(others);
    if (refused.length > 0) {
      this.pool.say(
        'debug',
        `The onModuleDestroy of ${refused.join(', ')} cannot be held back until workers have ended: it may run before`,
      );
    }
    // In a turn to come: a standalone context is up before anybody can enable its hooks.
    setImmediate(() => this.#warnWithoutShutdownHooks());
    this.pool.start();
  }

  #warnWithoutShutdownHooks(): void {
    if (process.listenerCount('SIGTERM') > 0 || process.listenerCount('SIGINT') > 0 || this.pool.draining)
      return;
    this.pool.say(
      'warn',
      'Shutdown hooks are not enabled: on SIGTERM this process dies at once and workers are cut off. ' +
        'Call app.enableShutdownHooks() before app.listen()',
    );
  }
}
