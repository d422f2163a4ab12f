import { Type } from '@sinclair/typebox';

/** The characters that an id may have; what has others was never stored. */
export const safeJobId = '^[A-Za-z0-9_.:-]{1,200}$';

export const queueName = Type.String({ minLength: 1, maxLength: 500, description: 'Name of the queue' });
export const jobId = Type.String({ pattern: safeJobId, description: 'Of the job' });

export const queuePath = Type.Object({ queue: queueName });

export const unknownQueue = { description: 'No queue of that name is registered in this app' };
