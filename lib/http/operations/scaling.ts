import { Type } from '@sinclair/typebox';
import { parseDuration } from '../../clock/index.js';
import { count, document, seconds, secondsOf } from '../documents/parts.js';
import { operation, type Operation } from '../operation.js';
import { Problem } from '../problem.js';
import { queuePath, unknownQueue } from './parameters.js';

const defaultJobsPerConsumer = 10;
const defaultWindowMs = 60_000;
const longestWindowMs = 86_400_000;

const ScalingDocument = document('Scaling', {
  queue: Type.String(),
  consumers_wanted: count(
    'Consumers that are wanted for what is ready, active and due within the window, at so many jobs each; of a paused queue only for what is active',
  ),
  ready: count('Jobs that are due and held by nobody'),
  active: count('Jobs that are being run'),
  scheduled: count(
    'Jobs that are due later. What Go programs of gocraft/work hold cannot be told from these, and is among them',
  ),
  due_within: count('Of the scheduled ones: due within the window'),
  dead: count('Jobs that were given up on'),
  oldest_ready_age_seconds: seconds('How long the ready job that has waited longest has been due; 0: none'),
  paused: Type.Boolean(),
  jobs_per_consumer: count('As asked for'),
  window_seconds: seconds('As asked for'),
});

/** What an autoscaler reads. */
export interface Demand {
  readonly ready: number;
  readonly active: number;
  readonly dueWithin: number;
  readonly paused: boolean;
}

/** What runs is never hidden; and nothing is begun for a queue that hands out nothing. */
export function consumersWanted(
  { ready, active, dueWithin, paused }: Demand,
  jobsPerConsumer: number,
): number {
  return Math.ceil((paused ? active : ready + active + dueWithin) / jobsPerConsumer);
}

export const scalingOperations: readonly Operation[] = [
  operation({
    id: 'getScaling',
    method: 'get',
    path: 'queues/{queue}/scaling',
    access: 'read',
    tag: 'scaling',
    summary: 'How many consumers a queue needs',
    description:
      "For the metrics-api scaler of KEDA and its likes. Takes the same time whatever the backlog. An idle queue answers 0, and one that is not registered 404: a scaler can tell 'nothing to do' from 'no such thing'.",
    parameters: {
      path: queuePath,
      query: Type.Object({
        jobs_per_consumer: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 1_000_000_000,
            description: `Jobs that one consumer is to have. Default ${defaultJobsPerConsumer}`,
          }),
        ),
        window: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 100,
            description: "How far ahead to look, such as '5m'. Default '1m'",
          }),
        ),
      }),
    },
    answers: { 200: { description: 'How it stands', schema: ScalingDocument }, 404: unknownQueue },
    async run(app, { path, query }) {
      const jobsPerConsumer = query.jobs_per_consumer ?? defaultJobsPerConsumer;
      const windowMs = windowOf(query.window);
      const [counts] = await app.counts([app.queue(path.queue)], windowMs);
      const { ready, active, scheduled, dead, dueWithin, oldestReadyAgeMs, paused } = counts!;
      const body = {
        queue: path.queue,
        consumers_wanted: consumersWanted(counts!, jobsPerConsumer),
        ready,
        active,
        scheduled,
        due_within: dueWithin,
        dead,
        oldest_ready_age_seconds: secondsOf(oldestReadyAgeMs),
        paused,
        jobs_per_consumer: jobsPerConsumer,
        window_seconds: secondsOf(windowMs),
      };
      return { body };
    },
  }),
];

function windowOf(given: string | undefined): number {
  if (given === undefined) return defaultWindowMs;
  const ms = parseDuration(given);
  if (ms !== undefined && ms >= 0 && ms <= longestWindowMs) return ms;
  throw new Problem(400, 'REQUEST_INVALID', 'The query is not what it should be.', [
    { path: 'query.window', message: "A length of time of at most a day, such as '5m', is wanted." },
  ]);
}
