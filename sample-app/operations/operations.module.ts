import { Logger, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { WorkerHttpModule } from 'nestjs-worker/http';
import { WorkerHealthModule } from 'nestjs-worker/terminus';
import { OperatorGuard, ViewerGuard } from './basic.guard.js';
import { HealthController } from './health.controller.js';
import { WorkersController } from './workers.controller.js';

/** What those who run this app look at. */
@Module({
  // Terminus 11 writes to the console unless it is told of Nest's logger.
  imports: [
    TerminusModule.forRoot({ logger: Logger }),
    WorkerHealthModule,
    WorkerHttpModule.register({
      path: 'work',
      title: 'Parcel scans',
      guards: [OperatorGuard],
      readOnlyGuards: [ViewerGuard],
    }),
  ],
  controllers: [HealthController, WorkersController],
})
export class OperationsModule {}
