import { type Duration, parseDuration } from '../clock/index.js';
import { InvalidOptionError } from '../errors/index.js';
import { OptionReader } from '../execution/index.js';

/** How KEDA proves who it is: what its `TriggerAuthentication` holds the secret of. */
export type ScalerAuthMode = 'bearer' | 'basic' | 'apiKey' | 'tls';

/** What `scaledObject()` is to write. */
export interface ScaledObjectOptions {
  /**
   * The job queues whose consumers the Deployment runs; one trigger each, and the one that wants most decides. All of
   * a Deployment belong in one object: KEDA refuses a second one for it.
   */
  readonly queues: readonly string[];
  /**
   * Where `WorkerHttpModule` answers, as KEDA sees it: `http://api.default.svc:3000/work`. With `min: 0` something
   * must answer there that is not scaled to 0 along with the consumers.
   */
  readonly url: string;
  /** The Deployment that is scaled. */
  readonly deployment: string;
  /** Name of the object itself. Default: that of the Deployment. */
  readonly name?: string | undefined;
  /** The Deployment's. Default: the one that `kubectl` applies it to. */
  readonly namespace?: string | undefined;
  /** How many jobs one pod is there for: the `concurrency` of the queue, or more where jobs may wait. Default 10. */
  readonly jobsPerConsumer?: number | undefined;
  /** Jobs that are due so soon count already: about as long as a pod takes to start. A day at most. Default `'1m'`. */
  readonly window?: Duration | undefined;
  /** Pods that are there with no work at all. Default 0. */
  readonly min?: number | undefined;
  /** The most pods. Default 10. */
  readonly max?: number | undefined;
  /** Seconds between two looks while there are no pods. Default 30. */
  readonly pollingInterval?: number | undefined;
  /** Seconds without work until the last pod goes. Default 300. */
  readonly cooldown?: number | undefined;
  /** Name of a `TriggerAuthentication` in the same namespace. Default: KEDA says nothing of who it is. */
  readonly auth?: string | undefined;
  /** What that one holds. Default `'bearer'`. */
  readonly authMode?: ScalerAuthMode | undefined;
}

const scalerAuthModes: readonly ScalerAuthMode[] = ['bearer', 'basic', 'apiKey', 'tls'];

const optionNames: readonly (keyof ScaledObjectOptions)[] = [
  'queues',
  'url',
  'deployment',
  'name',
  'namespace',
  'jobsPerConsumer',
  'window',
  'min',
  'max',
  'pollingInterval',
  'cooldown',
  'auth',
  'authMode',
];

const owner = 'the scaled object';
/** More than that the endpoint does not take. */
const longestWindowMs = 86_400_000;

/**
 * The ScaledObject (YAML) with which KEDA runs as many pods of a Deployment as its job queues want. KEDA asks our
 * scaling endpoint for that number, so the target is one per pod. Throws `InvalidOptionError`.
 */
export function scaledObject(options: ScaledObjectOptions): string {
  const reader = new OptionReader(owner, options, optionNames);
  const deployment = requiredName(reader, 'deployment', 253);
  // Kubernetes has it in a label too.
  const name = optionalName(reader, 'name', 63) ?? ownName(deployment);
  const namespace = optionalName(reader, 'namespace', 63);
  const min = reader.count('min', 0);
  const max = reader.count('max', Math.max(10, min), { min: 1 });
  if (max < min) reader.refuse('max', `at least min, which is ${min}`, 'Raise it, or lower min.');
  const pollingInterval = reader.count('pollingInterval', 30, { min: 1 });
  const cooldown = reader.count('cooldown', 300);
  const urls = scalingUrls(reader);
  const authentication = readAuthentication(reader);

  return [
    ...(min === 0 ? ['# Whoever answers at these URLs must not be scaled to 0 by this.'] : []),
    'apiVersion: keda.sh/v1alpha1',
    'kind: ScaledObject',
    'metadata:',
    `  name: ${quoted(name)}`,
    ...(namespace === undefined ? [] : [`  namespace: ${quoted(namespace)}`]),
    'spec:',
    '  scaleTargetRef:',
    `    name: ${quoted(deployment)}`,
    `  minReplicaCount: ${min}`,
    `  maxReplicaCount: ${max}`,
    `  pollingInterval: ${pollingInterval}`,
    `  cooldownPeriod: ${cooldown}`,
    '  triggers:',
    ...urls.flatMap((url) => trigger(url, authentication)),
    '',
  ].join('\n');
}

interface Authentication {
  readonly name: string;
  readonly mode: ScalerAuthMode;
}

function trigger(url: string, authentication: Authentication | undefined): string[] {
  return [
    '    - type: metrics-api',
    '      metricType: AverageValue',
    '      metadata:',
    `        url: ${quoted(url)}`,
    '        valueLocation: "consumers_wanted"',
    '        targetValue: "1"',
    '        activationTargetValue: "0"',
    ...(authentication === undefined
      ? []
      : [
          `        authMode: ${quoted(authentication.mode)}`,
          '      authenticationRef:',
          `        name: ${quoted(authentication.name)}`,
        ]),
  ];
}

/** What is quoted here is ASCII without control characters: names were checked, and URLs are percent-encoded. */
const quoted = (text: string): string => JSON.stringify(text);

function scalingUrls(reader: OptionReader): string[] {
  const base = readBase(reader);
  const window = readWindow(reader);
  const jobsPerConsumer = reader.count('jobsPerConsumer', 10, { min: 1 });
  const query = `window=${encodeURIComponent(window)}&jobs_per_consumer=${jobsPerConsumer}`;
  return readQueues(reader).map((queue) => `${base}/queues/${segment(queue)}/scaling?${query}`);
}

/** Dots alone would be taken for a step up the path by what is on the way. */
const segment = (queue: string): string =>
  /^\.+$/.test(queue) ? queue.replaceAll('.', '%2E') : encodeURIComponent(queue);

function readQueues(reader: OptionReader): readonly string[] {
  const given = reader.get('queues');
  const queues: readonly unknown[] = Array.isArray(given) ? given : [];
  if (queues.length === 0 || !queues.every(isQueueName)) {
    return reader.refuse('queues', 'one name of a job queue or more, none empty', 'Name the queues.');
  }
  if (new Set(queues).size < queues.length) {
    return reader.refuse('queues', 'each queue once', 'Remove what is there twice.');
  }
  return queues;
}

// Half of a surrogate pair has no place in a URL.
const isQueueName = (name: unknown): name is string =>
  typeof name === 'string' && name.trim() !== '' && !/\p{Surrogate}/u.test(name);

function readBase(reader: OptionReader): string {
  const given = reader.get('url');
  const accepted = 'a URL of http or https, without query and fragment';
  const cure = 'Say where WorkerHttpModule answers, as in http://api.default.svc:3000/work.';
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    return reader.refuse('url', accepted, cure);
  }
  if (url.username !== '' || url.password !== '') {
    // Not by the reader, which says what was given.
    throw new InvalidOptionError({
      owner,
      option: 'url',
      given: `${url.protocol}//…@${url.host}${url.pathname}`,
      accepted: 'a URL without user and password, which everybody who may read the object could read',
      cure: 'Put them into a TriggerAuthentication, and name that one.',
    });
  }
  return (url.origin + url.pathname).replace(/\/+$/, '');
}

/** As it was given: the endpoint reads it by the same rules. */
function readWindow(reader: OptionReader): string {
  const given = reader.get('window') ?? '1m';
  const ms = parseDuration(given);
  const fits = ms !== undefined && ms >= 0 && ms <= longestWindowMs;
  if (fits && (typeof given === 'string' || typeof given === 'number')) return String(given);
  return reader.refuse(
    'window',
    "a length of time such as '30s' or '1m', not negative, and a day at most",
    'Say how far ahead to look.',
  );
}

function readAuthentication(reader: OptionReader): Authentication | undefined {
  const mode = reader.oneOf('authMode', 'bearer', scalerAuthModes);
  const name = optionalName(reader, 'auth', 253);
  if (name !== undefined) return { name, mode };
  if (reader.get('authMode') === undefined) return undefined;
  return reader.refuse(
    'authMode',
    'nothing where no TriggerAuthentication is named',
    'Name the one that holds the secret, or remove this.',
  );
}

const ownName = (deployment: string): string => {
  if (deployment.length <= 63) return deployment;
  throw new InvalidOptionError({
    owner,
    option: 'name',
    given: undefined,
    accepted: 'a name of 63 characters at most, which that of the Deployment is not',
    cure: 'Give the object a name of its own.',
  });
};

function requiredName(reader: OptionReader, option: string, longest: number): string {
  const given = reader.get(option);
  if (typeof given === 'string' && given.length <= longest && isName(given)) return given;
  return reader.refuse(
    option,
    `a name as Kubernetes has them: a-z, 0-9, "-" and ".", ${longest} characters at most`,
    'Give the name of the object in the cluster.',
  );
}

const optionalName = (reader: OptionReader, option: string, longest: number): string | undefined =>
  reader.get(option) === undefined ? undefined : requiredName(reader, option, longest);

/** A DNS subdomain of RFC 1123. */
function isName(text: string): boolean {
  return text.split('.').every((label) => /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label));
}
