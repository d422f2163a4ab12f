import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { useApp } from '../app.js';
import type { JobQueueDocument, JobQueueSummary, MinuteDocument, SampleDocument } from '../documents.js';
import { countText, durationText } from '../format.js';
import { useNow } from '../hooks.js';
import { extended, joined, levelsShownMs, throughputOf, withMinute } from '../state/series.js';
import { Plot } from './plot.js';

interface QueuePlotsProps {
  /** With the last hour and the last minutes. */
  readonly queue: JobQueueDocument;
  /** What comes after that. */
  readonly live: JobQueueSummary;
}

const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const wholeText = (value: number): string => (value < 10_000 ? countText(value) : compact.format(value));

/** What ends, what is there, and how long it waits. */
export function QueuePlots({ queue, live }: QueuePlotsProps): JSX.Element {
  const { ticker } = useApp();
  const now = useNow();
  const [samples, setSamples] = useState<readonly SampleDocument[]>([]);
  const [minutes, setMinutes] = useState<readonly MinuteDocument[]>([]);
  const { levels, minute } = live;
  useEffect(() => {
    if (levels !== null) setSamples((before) => extended(before, ticker.now, levels));
  }, [levels, ticker]);
  useEffect(() => setMinutes((before) => withMinute(before, minute).slice(-60)), [minute]);

  const throughput = useMemo(() => {
    const all = minutes.reduce(withMinute, queue.throughput as readonly MinuteDocument[]);
    return throughputOf(all, now);
  }, [queue.throughput, minutes, now]);
  const drawn = useMemo(() => {
    const all = joined(queue.samples, samples);
    return levels === null ? all : extended(all, now, levels);
  }, [queue.samples, samples, levels, now]);
  const times = drawn.map(({ at }) => Date.parse(at) / 1_000);
  const range: [number, number] = [(now - levelsShownMs) / 1_000, now / 1_000];
  const hour: [number, number] = [(throughput.times[0] ?? 0) - 30, (throughput.times.at(-1) ?? 60) + 30];
  return (
    <div class="plots">
      <Plot
        title="Per minute"
        times={throughput.times}
        range={hour}
        whole
        valueText={wholeText}
        series={[
          { label: 'jobs completed', colour: 'accent', drawn: 'bars', values: throughput.completed },
          { label: 'attempts failed', colour: 'bad', drawn: 'line', values: throughput.failed },
        ]}
      />
      <Plot
        title="Ready and active"
        times={times}
        range={range}
        whole
        valueText={wholeText}
        series={[
          { label: 'ready', colour: 'accent', drawn: 'area', values: drawn.map(({ ready }) => ready) },
          { label: 'active', colour: 'warning', drawn: 'line', values: drawn.map(({ active }) => active) },
        ]}
      />
      <Plot
        title="Age of the oldest ready job"
        times={times}
        range={range}
        whole={false}
        valueText={durationText}
        series={[
          {
            label: 'waited',
            colour: 'accent',
            drawn: 'area',
            values: drawn.map((sample) => sample.oldest_ready_age_seconds),
          },
        ]}
      />
    </div>
  );
}
