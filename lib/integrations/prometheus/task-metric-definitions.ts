import { Counter, Gauge } from 'prom-client';
import { distribution, makeMarks } from './make-metric.js';
import type { MetricDefinition } from './metric-providers.js';
import {
  defaultCompletionBuckets,
  defaultTaskBuckets,
  taskMetricNames as names,
} from './worker-metrics-options.js';

export const taskMetricDefinitions: readonly MetricDefinition[] = [
  {
    name: names.enqueued,
    help: 'Tasks that the queue has accepted',
    labelNames: ['queue'],
    make: (base) => new Counter(base),
  },
  {
    name: names.attempts,
    help: 'Attempts of tasks, by how they ended (succeeded, failed, timed-out, cancelled)',
    labelNames: ['queue', 'outcome'],
    make: (base) => new Counter(base),
  },
  {
    name: names.completed,
    help: 'Tasks that have settled, by how (succeeded, failed, timed-out, cancelled, dropped)',
    labelNames: ['queue', 'outcome'],
    make: (base) => new Counter(base),
  },
  {
    name: names.rejected,
    help: 'Tasks that the queue has refused for want of room, with overflow reject',
    labelNames: ['queue'],
    make: (base) => new Counter(base),
  },
  {
    name: names.running,
    help: 'Attempts of tasks that are under way',
    labelNames: ['queue'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.stuck,
    help: 'Attempts of tasks that were told to end and did not',
    labelNames: ['queue'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.queued,
    help: 'Tasks that do not run: ready for their turn, delayed until a time, or waiting for room',
    labelNames: ['queue', 'state'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.concurrency,
    help: 'How many tasks of the queue may run at a time',
    labelNames: ['queue'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.paused,
    help: '1 while the queue is paused; else 0',
    labelNames: ['queue'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.oldestDueAge,
    help: 'How long the task that has waited longest has been due; 0 where none is',
    labelNames: ['queue'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.wait,
    help: 'Time from when an attempt of a task was due to its begin',
    labelNames: ['queue'],
    make: (base, { taskBuckets }) => distribution(base, taskBuckets ?? defaultTaskBuckets),
  },
  {
    name: names.duration,
    help: 'How long attempts of tasks lasted',
    labelNames: ['queue'],
    make: (base, { taskBuckets }) => distribution(base, taskBuckets ?? defaultTaskBuckets),
  },
  {
    name: names.completionAttempts,
    help: 'Attempts that tasks had when they settled',
    labelNames: ['queue'],
    make: (base) => distribution(base, defaultCompletionBuckets),
  },
  {
    name: names.markDuration,
    help: 'Time between the marks inside attempts of tasks',
    labelNames: ['queue', 'scope', 'action', 'outcome'],
    make: makeMarks,
  },
];
