import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { namespace } from '../names.mjs';

// The backend loads them when it is opened: a spare is to have them by then.
await Promise.all([import('bullmq'), import('ioredis')]);

export const makeBackend = ({ url }) => new BullMqJobBackend({ redis: url, prefix: namespace });

/** It need not be there for the backend to say what it can. */
export const anywhere = 'redis://127.0.0.1';
/** Grows with each claim of a job: BullMQ counts them. */
export const claimOf = (token) => BigInt(token.split(' ')[1]);
/** So long may what ended be in no count: each process tells what it has counted once a second. */
export const countedWithinMs = 1_000;
