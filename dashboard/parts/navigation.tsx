import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useApp } from '../app.js';
import { countText } from '../format.js';
import { useLive, useStore } from '../hooks.js';
import { hrefOf, type Section, sectionOf } from '../routes.js';
import { toneOfJobQueue, toneOfTaskQueue, toneOfWorker, troubled } from '../state/tone.js';

/** The sections, with how many are in each, and how many of these are in trouble. */
export function Navigation(): JSX.Element {
  const workers = useLive((data) => data.workers) ?? [];
  const taskQueues = useLive((data) => data.task_queues) ?? [];
  const jobQueues = useLive((data) => data.job_queues) ?? [];
  const operator = useLive((data) => data.access) === 'operator';
  return (
    <nav class="navigation" aria-label="Sections">
      <Tab section="workers" text="Workers" count={workers.length} bad={troubled(workers, toneOfWorker)} />
      <Tab
        section="tasks"
        text="Task queues"
        count={taskQueues.length}
        bad={troubled(taskQueues, toneOfTaskQueue)}
      />
      <Tab
        section="jobs"
        text="Job queues"
        count={jobQueues.length}
        bad={troubled(jobQueues, toneOfJobQueue)}
      />
      {operator && <Tab section="commands" text="Commands" />}
    </nav>
  );
}

interface TabProps {
  readonly section: Section;
  readonly text: string;
  readonly count?: number;
  readonly bad?: number;
}

function Tab({ section, text, count, bad = 0 }: TabProps): JSX.Element {
  const current = useStore(useApp().place, ({ route }) => sectionOf(route)) === section;
  const link = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    // On a narrow screen it may be out of sight.
    if (current) link.current?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [current]);
  return (
    <a ref={link} href={hrefOf({ page: section })} aria-current={current ? 'page' : false}>
      {text}
      {count !== undefined && <span class="tab-count">{countText(count)}</span>}
      {bad > 0 && (
        <span class="tab-bad">
          {countText(bad)}
          <span class="hidden"> in trouble</span>
          <span aria-hidden="true"> !</span>
        </span>
      )}
    </a>
  );
}
