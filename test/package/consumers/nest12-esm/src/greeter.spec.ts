import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { WorkerModule, WorkerPoolService } from 'nestjs-worker';
import { beforeEach, describe, expect, it } from 'vitest';
import { Greeter } from './greeter.worker.js';

describe('a Nest 12 app', () => {
  let app: INestApplication;

  beforeEach(async () => {
    const testing = await Test.createTestingModule({
      imports: [WorkerModule.forRoot({})],
      providers: [Greeter],
    }).compile();
    app = testing.createNestApplication();
    await app.init();
  });

  it('runs a worker from boot to close', async () => {
    const execution = app.get(WorkerPoolService).execution('greeter');
    await app.get(Greeter).hasGreeted;
    expect(execution.status).toBe('running');

    await app.close();
    expect(app.get(WorkerPoolService).execution('greeter').status).toBe('cancelled');
  });
});
