import { type RunnableWorker, Worker, type WorkerContext } from 'nestjs-worker';

@Worker({ name: 'greeter' })
export class Greeter implements RunnableWorker {
  greeted!: () => void;
  readonly hasGreeted = new Promise<void>((resolve) => (this.greeted = resolve));

  async run(ctx: WorkerContext): Promise<void> {
    this.greeted();
    await ctx.sleep('1h');
  }
}
