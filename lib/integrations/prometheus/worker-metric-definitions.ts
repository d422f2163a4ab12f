import { Counter, Gauge } from 'prom-client';
import { distribution, makeMarks } from './make-metric.js';
import type { MetricDefinition } from './metric-providers.js';
import { defaultAttemptBuckets, workerMetricNames as names } from './worker-metrics-options.js';

export const workerMetricDefinitions: readonly MetricDefinition[] = [
  {
    name: names.executions,
    help: 'Attempts of workers, by how they began (started, restarted) and ended (success, error, cancelled)',
    labelNames: ['worker', 'status'],
    make: (base) => new Counter(base),
  },
  {
    name: names.running,
    help: 'Attempts of the worker that are under way: 1 or 0 in each process',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.stuck,
    help: '1 while an attempt of the worker was told to end and did not; else 0',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.givenUp,
    help: '1 while the worker is given up on, out of attempts or restarts, until it is started; else 0',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.attemptDuration,
    help: 'How long attempts of workers lasted',
    labelNames: ['worker'],
    make: (base, { attemptBuckets }) => distribution(base, attemptBuckets ?? defaultAttemptBuckets),
  },
  {
    name: names.nextRestart,
    help: 'When the worker is due to restart; 0 while it does not wait for that',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.lastSuccess,
    help: 'When an attempt of the worker last succeeded; 0 if none has',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.markDuration,
    help: 'Time between the marks inside attempts of workers',
    labelNames: ['worker', 'action', 'outcome'],
    make: makeMarks,
  },
];
