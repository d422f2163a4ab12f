import { Counter, Gauge } from 'prom-client';
import { distribution, makeMarks } from './make-metric.js';
import type { MetricDefinition } from './metric-providers.js';
import {
  defaultClaimBuckets,
  defaultJobBuckets,
  defaultJobLifeBuckets,
  jobMetricNames as names,
  type WorkerMetricsOptions,
} from './worker-metrics-options.js';

const counter = (name: string, help: string, ...more: string[]): MetricDefinition => ({
  name,
  help,
  labelNames: ['queue', ...more],
  make: (base) => new Counter(base),
});

const gauge = (name: string, help: string, labelNames: string[] = ['queue']): MetricDefinition => ({
  name,
  help,
  labelNames,
  make: (base) => new Gauge(base),
});

/** Of what all processes share: each of them tells the same. */
const shared = (name: string, help: string): MetricDefinition =>
  gauge(name, `${help}. Every process that has the queue tells the same: use max by (queue)`);

const histogram = (
  name: string,
  help: string,
  bounds: (options: WorkerMetricsOptions) => readonly number[],
): MetricDefinition => ({
  name,
  help,
  labelNames: ['queue'],
  make: (base, options) => distribution(base, bounds(options)),
});

const jobBuckets = (options: WorkerMetricsOptions): readonly number[] =>
  options.jobBuckets ?? defaultJobBuckets;

/** What is counted here is what this process did. */
export const jobMetricDefinitions: readonly MetricDefinition[] = [
  counter(names.enqueued, 'Jobs that this process has enqueued'),
  counter(
    names.duplicates,
    'Jobs that were not stored, since their id was known or their unique key was held',
  ),
  counter(
    names.enqueueFailures,
    'Jobs that may or may not have been stored: the backend failed, or was too slow',
  ),
  counter(
    names.attempts,
    'Attempts at jobs, by how they ended (succeeded, failed, timed-out, cancelled, snoozed)',
    'outcome',
  ),
  counter(names.leasesLost, 'Jobs that another process may have got while this one ran them'),
  counter(names.givenUp, 'Jobs that this process has given up on; they are dead'),
  counter(
    names.quarantined,
    'Jobs that this process did not run, since the processes that did died again and again',
  ),
  counter(names.pushedOut, 'Dead jobs that gave way to newer ones, beyond maxDead'),
  counter(names.released, 'Claimed jobs that were handed back before they had begun'),
  gauge(names.running, 'Attempts at jobs that are under way in this process'),
  gauge(names.stuck, 'Attempts at jobs that were told to end and did not'),
  gauge(names.concurrency, 'How many jobs of the queue may run at a time in this process'),
  histogram(names.wait, 'Time from when a job was due to the begin of its attempt', jobBuckets),
  histogram(names.duration, 'How long attempts at jobs lasted', jobBuckets),
  histogram(
    names.lifeTime,
    'Time from when a job was enqueued to its end',
    ({ jobLifeBuckets }) => jobLifeBuckets ?? defaultJobLifeBuckets,
  ),
  histogram(names.claimSize, 'Jobs per claim that brought any', () => defaultClaimBuckets),
  {
    name: names.markDuration,
    help: 'Time between the marks inside attempts at jobs',
    labelNames: ['queue', 'scope', 'action', 'outcome'],
    make: makeMarks,
  },
  shared(names.ready, 'Jobs that are due, and held by nobody'),
  shared(names.scheduled, 'Jobs that are due later'),
  shared(names.active, 'Jobs that are held by a process, most of them running'),
  shared(names.dead, 'Jobs that were given up on, and are kept'),
  shared(
    names.oldestReadyAge,
    'How long the ready job that has waited longest has been due; 0 where none is',
  ),
  shared(names.paused, '1 while none of its jobs is handed out; else 0'),
  gauge(
    names.backendUp,
    'Whether this process can ask the backend how its queues stand; with 0, the gauges that tell of that are missing',
    ['backend'],
  ),
];
