import { scaledObject, type ScaledObjectOptions } from '../http/scaled-object.js';
import type { Command } from './command.js';
import { optionsIn, withFlagNames } from './option-flags.js';

const usage = `Usage: nestjs-worker scaled-object --queue <name> --url <url> --deployment <name> [options]

Prints the ScaledObject (YAML) with which KEDA runs as many pods as a job queue wants.

  --queue <name>              job queue that the pods consume; give it again for each further one
  --url <url>                 where WorkerHttpModule answers, as in http://api.default.svc:3000/work
  --deployment <name>         the Deployment that is scaled

  --name <name>               name of the ScaledObject (that of the Deployment)
  --namespace <name>          namespace of both (none: that of kubectl)
  --jobs-per-consumer <n>     jobs that one pod is there for; as a rule the queue's concurrency (10)
  --window <duration>         jobs that are due so soon count already (1m)
  --min <n>                   pods with no work at all (0)
  --max <n>                   the most pods (10)
  --polling-interval <s>      seconds between two looks while there are no pods (30)
  --cooldown <s>              seconds without work until the last pod goes (300)
  --auth <name>               TriggerAuthentication that holds KEDA's credentials (none)
  --auth-mode <mode>          what it holds: bearer, basic, apiKey or tls (bearer)
`;

const flagOf = {
  queues: 'queue',
  url: 'url',
  deployment: 'deployment',
  name: 'name',
  namespace: 'namespace',
  jobsPerConsumer: 'jobs-per-consumer',
  window: 'window',
  min: 'min',
  max: 'max',
  pollingInterval: 'polling-interval',
  cooldown: 'cooldown',
  auth: 'auth',
  authMode: 'auth-mode',
} as const satisfies Record<keyof ScaledObjectOptions, string>;

const numeric = new Set(['jobsPerConsumer', 'min', 'max', 'pollingInterval', 'cooldown']);

export const scaledObjectCommand: Command = {
  usage,
  flags: Object.fromEntries(
    Object.values(flagOf).map((flag) => [flag, { type: 'string', multiple: flag === flagOf.queues }]),
  ),
  run(flags, terminal) {
    const given = optionsIn(flags, flagOf, ['queues', 'url', 'deployment']);
    // What is wrong with them is for `scaledObject()` to say.
    const options = Object.fromEntries(
      Object.entries(given).map(([option, value]) => {
        const isNumber = numeric.has(option) && typeof value === 'string' && /^\d+$/.test(value);
        return [option, isNumber ? Number(value) : value];
      }),
    );
    try {
      terminal.print(scaledObject(options as unknown as ScaledObjectOptions));
      return 0;
    } catch (error) {
      throw withFlagNames(error, flagOf);
    }
  },
};
