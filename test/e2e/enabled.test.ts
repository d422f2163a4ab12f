import { isWorkError, Worker, WorkerModule } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import {
  bootContext,
  happened,
  LogRecorder,
  poolOf,
  settle,
  thrownBy,
  UntilAborted,
} from '../support/nest.js';

@Worker({ name: 'idle' })
class Idle extends UntilAborted {}

@Worker({ name: 'other' })
class Other extends UntilAborted {}

describe('WorkerModule.forRoot({ enabled: false })', () => {
  const root = { imports: [WorkerModule.forRoot({ enabled: false })], providers: [Idle, Other] };

  it('lists all workers as disabled and runs none', async () => {
    const logger = new LogRecorder();
    const app = await bootContext(root, { logger });
    await settle();
    expect(poolOf(app).snapshot()).toMatchObject({
      status: 'started',
      children: [
        { name: 'idle', status: 'disabled' },
        { name: 'other', status: 'disabled' },
      ],
    });
    expect(app.get(Idle).runs + app.get(Other).runs).toBe(0);
    expect(logger.texts('log')).toEqual([
      'Worker "idle" is disabled in this process',
      'Worker "other" is disabled in this process',
    ]);
  });

  it('cannot be overruled by one worker', async () => {
    @Worker({ name: 'keen', enabled: true })
    class Keen extends UntilAborted {}
    const app = await bootContext({ ...root, providers: [Keen] });
    expect(poolOf(app).execution('keen').status).toBe('disabled');
  });

  it('refuses to start one by name, and says what to do', async () => {
    const app = await bootContext(root);
    const error = thrownBy(() => poolOf(app).start('idle'));
    expect(isWorkError(error, 'WORKER_DISABLED')).toBe(true);
    expect((error as Error).message).toMatch(/"idle" is disabled .*Set `enabled: true` on the worker and on/);
    await expect(poolOf(app).restart('idle')).rejects.toMatchObject({ code: 'WORKER_DISABLED' });
    expect(poolOf(app).execution('idle').status).toBe('disabled');
  });

  it('starts none of them with start() and closes without ado', async () => {
    const app = await bootContext(root);
    poolOf(app).start();
    await settle();
    expect(app.get(Idle).runs).toBe(0);
    await app.close();
    expect(poolOf(app).snapshot()).toMatchObject({
      status: 'closed',
      children: [{ status: 'disabled' }, { status: 'disabled' }],
    });
  });
});

describe('@Worker({ enabled: false })', () => {
  it('switches off that worker alone', async () => {
    @Worker({ name: 'off', enabled: false })
    class Off extends UntilAborted {}
    const app = await bootContext({ imports: [WorkerModule], providers: [Off, Idle] });
    await happened(app, 'started', 'idle');
    expect(poolOf(app).executions()).toMatchObject([
      { name: 'off', status: 'disabled' },
      { name: 'idle', status: 'running' },
    ]);
    expect(app.get(Off).runs).toBe(0);
    expect(thrownBy(() => poolOf(app).start('off'))).toMatchObject({ code: 'WORKER_DISABLED' });
  });

  it('is registered with what it would do', async () => {
    const app = await bootContext({ imports: [WorkerModule] });
    poolOf(app).register(new UntilAborted(), { name: 'by-hand', enabled: false, maxAttempts: 4 });
    expect(poolOf(app).registration('by-hand').options).toMatchObject({ enabled: false, maxAttempts: 4 });
  });
});
