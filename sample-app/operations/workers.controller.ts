import { Controller, Get } from '@nestjs/common';
import { type PoolSnapshot, WorkerPoolService } from 'nestjs-worker';

@Controller('workers')
export class WorkersController {
  constructor(private readonly workers: WorkerPoolService) {}

  @Get()
  snapshot(): PoolSnapshot {
    return this.workers.snapshot();
  }
}
