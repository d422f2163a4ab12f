// What a scenario's processes and whoever looks at the store beside them agree on.
export const namespace = '{chaos}';
/** Of PostgreSQL, where there are no such names. */
export const schema = 'chaos';
export const queueName = 'work';
/** Jobs for this handler leave nothing behind when they complete; those of the other are kept, to be looked at. */
export const gone = 'gone';
export const maxAttempts = 4;
export const backoffMs = 100;
export const snoozeMs = 100;
