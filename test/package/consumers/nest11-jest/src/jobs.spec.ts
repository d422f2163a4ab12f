import { Test } from '@nestjs/testing';
import {
  DiscardJob,
  getJobQueueToken,
  type Job,
  type JobContext,
  JobHandler,
  type JobQueue,
  JobsModule,
  type RunnableJob,
} from 'nestjs-worker';

@JobHandler('emails', { concurrency: 2, keepCompleted: '1m' })
class EmailHandler implements RunnableJob<{ to: string }, string> {
  async handle(job: Job<{ to: string }>, ctx: JobContext): Promise<string> {
    if (job.payload.to === '') throw new DiscardJob('no address');
    return `${ctx.name} to ${job.payload.to}`;
  }
}

describe('a Nest 11 app in CommonJS', () => {
  it('runs jobs, keeps what it gave up on, and drains when it closes', async () => {
    const testing = await Test.createTestingModule({
      imports: [JobsModule.forRoot(), JobsModule.registerQueue({ name: 'emails' })],
      providers: [EmailHandler],
    }).compile();
    const app = testing.createNestApplication();
    await app.init();
    const emails = app.get<JobQueue<{ to: string }>>(getJobQueueToken('emails'));

    const { id } = await emails.enqueue({ to: 'a@example.com' });
    expect(await emails.waitUntilFinished(id, { timeout: '5s' })).toBe('emails to a@example.com');
    const refused = await emails.enqueue({ to: '' });
    await expect(emails.waitUntilFinished(refused.id, { timeout: '5s' })).rejects.toThrow('no address');
    expect(await emails.get(refused.id)).toMatchObject({ state: 'dead', cause: 'discarded' });
    await app.close();
  });
});
