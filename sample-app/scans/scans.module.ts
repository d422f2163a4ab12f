import { Module } from '@nestjs/common';
import { JobsModule } from 'nestjs-worker';

/** The queue of what was ingested and is to be passed on: a job for each scan. */
@Module({
  imports: [
    JobsModule.registerQueue({
      name: 'scans',
      // What a process held that was killed is run again after so long.
      lease: '5s',
    }),
  ],
  exports: [JobsModule],
})
export class ScansModule {}
