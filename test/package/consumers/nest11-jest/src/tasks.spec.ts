import { Test } from '@nestjs/testing';
import { DiscardError, getTaskQueueToken, isWorkError, type TaskQueue, TaskQueueModule } from 'nestjs-worker';

describe('a Nest 11 app in CommonJS', () => {
  it('runs tasks, and drains them when it closes', async () => {
    const testing = await Test.createTestingModule({
      imports: [TaskQueueModule.register({ name: 'mail', concurrency: 1 })],
    }).compile();
    const app = testing.createNestApplication();
    await app.init();
    const mail = app.get<TaskQueue>(getTaskQueueToken('mail'));

    expect(await mail.enqueue(async (ctx) => ctx.name).done).toBe('mail');
    const refused = mail.enqueue(() => Promise.reject(new DiscardError('no')), { maxAttempts: 9 });
    await expect(refused.done).rejects.toThrow('no');
    expect(isWorkError(await refused.done.catch((error: unknown) => error), 'DISCARD')).toBe(true);

    const queued = Array.from({ length: 5 }, (_, index) => mail.enqueue(async () => index));
    await app.close();
    expect(await Promise.all(queued.map(({ done }) => done))).toEqual([0, 1, 2, 3, 4]);
  });
});
