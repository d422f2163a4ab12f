import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { schema } from '../names.mjs';

// The backend loads them when it is opened: a spare is to have them by then.
await Promise.all([import('bullmq'), import('pg')]);

export const makeBackend = ({ url }) => new BullMqJobBackend({ postgres: url, schema });

/** It need not be there for the backend to say what it can. */
export const anywhere = 'postgres://127.0.0.1';
export { claimOf, countedWithinMs } from './bullmq.mjs';
