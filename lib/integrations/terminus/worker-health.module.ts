import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { PoolModule } from '../../pool/index.js';
import { WorkerHealthIndicator } from './worker.health.js';

/** Offers `WorkerHealthIndicator`. Import it into the module whose controller does the health check. */
@Module({
  imports: [PoolModule, TerminusModule],
  providers: [WorkerHealthIndicator],
  exports: [WorkerHealthIndicator],
})
export class WorkerHealthModule {}
