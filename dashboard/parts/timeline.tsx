import type { JSX } from 'preact';
import type { EventDocument } from '../documents.js';
import { eventText, toneOfEvent } from '../events-text.js';
import { dateTimeText, pluralText } from '../format.js';
import { ErrorBlock } from './error-text.js';
import { Mark } from './status.js';
import { Ago } from './times.js';

interface TimelineProps {
  /** Oldest first. */
  readonly events: readonly EventDocument[];
  /** Older ones that are no longer kept. */
  readonly dropped?: number;
}

/** The history of something, the latest first. */
export function Timeline({ events, dropped = 0 }: TimelineProps): JSX.Element {
  if (events.length === 0) return <p class="quiet">Nothing has happened yet.</p>;
  return (
    <>
      <ol class="timeline" reversed>
        {events.toReversed().map((event, index) => (
          <li key={events.length - index}>
            <div class="timeline-head">
              <Mark tone={toneOfEvent(event)} text={eventText(event)} />
              <span class="quiet">
                <Ago at={event.time} /> <span class="clock">({dateTimeText(event.time)})</span>
              </span>
            </div>
            {event.error !== undefined && <ErrorBlock error={event.error} />}
          </li>
        ))}
      </ol>
      {dropped > 0 && <p class="quiet">{pluralText(dropped, 'older event')} no longer kept.</p>}
    </>
  );
}
