export { type CancelTimer, type Clock, systemClock } from './clock.js';
export { type Duration, formatDuration, parseDuration } from './duration.js';
export { longestTimerMs } from './long-timer.js';
export type { Interruptible } from './interruptible.js';
