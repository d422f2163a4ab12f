import type { EventDocument } from './documents.js';
import { durationText, limitText } from './format.js';
import type { Tone } from './state/tone.js';

/** What a fact of the history says, in one line. */
export function eventText(event: EventDocument): string {
  return [sentences[event.type] ?? event.type, ...details(event)].join(' · ');
}

const sentences: Readonly<Record<string, string>> = {
  registered: 'Registered',
  deferred: 'Start deferred',
  started: 'Started',
  stalled: 'Gave no heartbeat',
  stuck: 'Stuck: it was told to end, and did not',
  stopping: 'Told to stop',
  succeeded: 'Succeeded',
  failed: 'Failed',
  cancelled: 'Cancelled',
  snoozed: 'Put off',
  backoff: 'Waits for its next attempt',
  exhausted: 'Given up on',
  orphaned: 'Left behind: it still ran when the time to stop was over',
};

function details(event: EventDocument): string[] {
  const parts: string[] = [];
  if (event.attempt !== undefined) {
    const limit = event.max_attempts === undefined ? '' : ` of ${limitText(event.max_attempts)}`;
    parts.push(`attempt ${event.attempt}${limit}`);
  }
  if (event.duration_seconds !== undefined) parts.push(`after ${durationText(event.duration_seconds)}`);
  if (event.delay_seconds !== undefined) parts.push(`in ${durationText(event.delay_seconds)}`);
  if (event.reason !== undefined) parts.push(event.reason.replaceAll('-', ' '));
  return parts;
}

const tones: Readonly<Record<string, Tone>> = {
  started: 'good',
  succeeded: 'good',
  failed: 'warning',
  stalled: 'warning',
  backoff: 'warning',
  stuck: 'bad',
  exhausted: 'bad',
  orphaned: 'bad',
  stopping: 'busy',
  deferred: 'busy',
  snoozed: 'busy',
};

export function toneOfEvent({ type }: EventDocument): Tone {
  return tones[type] ?? 'idle';
}
