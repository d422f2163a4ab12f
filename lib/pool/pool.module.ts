import { Global, Module } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { ExplorerModule } from '../discovery/index.js';
import { NestWorkLogger } from './nest-logger.service.js';
import { PoolLifecycleService } from './pool-lifecycle.service.js';
import { Pool } from './pool.js';
import { POOL } from './pool.tokens.js';

// By app, on globalThis: two copies of this package in one app share its pool, and two apps have one each.
const key = Symbol.for('nestjs-worker:pools:v1');
const shared = globalThis as { [key]?: WeakMap<object, Pool> };

function poolOf(app: ModulesContainer): Pool {
  const pools = (shared[key] ??= new WeakMap());
  let pool = pools.get(app);
  if (pool === undefined) {
    pool = new Pool();
    pool.useLogger(new NestWorkLogger());
    pools.set(app, pool);
  }
  return pool;
}

/** Owns the app's pool. Internal: WorkerModule and its likes import it. */
@Global()
@Module({
  imports: [ExplorerModule],
  providers: [{ provide: POOL, inject: [ModulesContainer], useFactory: poolOf }, PoolLifecycleService],
  exports: [POOL, ExplorerModule],
})
export class PoolModule {}
