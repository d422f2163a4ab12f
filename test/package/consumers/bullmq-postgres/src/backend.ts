import type { JobBackend } from 'nestjs-worker';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';

export const backend: JobBackend = new BullMqJobBackend({ postgres: 'postgres://localhost' });
export const pooled = new BullMqJobBackend({ postgres: { host: 'localhost', max: 4 } });
