import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { InvalidOptionError } from '../../lib/errors/index.js';
import { scalingOperations } from '../../lib/http/operations/scaling.js';
import { scaledObject, type ScaledObjectOptions } from '../../lib/http/scaled-object.js';

const least = { queues: ['emails'], url: 'http://api.shop.svc:3000/work', deployment: 'mailer' };

interface Written {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly maxReplicaCount: number;
    readonly triggers: readonly { readonly metadata: { readonly url: string } }[];
  };
}

const read = (yaml: string): Written => parse(yaml) as Written;
const urlsOf = (options: ScaledObjectOptions): string[] =>
  read(scaledObject(options)).spec.triggers.map(({ metadata }) => metadata.url);

describe('the scaled object', () => {
  it('is complete with what must be said alone', () => {
    expect(scaledObject(least)).toBe(`# Whoever answers at these URLs must not be scaled to 0 by this.
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: "mailer"
spec:
  scaleTargetRef:
    name: "mailer"
  minReplicaCount: 0
  maxReplicaCount: 10
  pollingInterval: 30
  cooldownPeriod: 300
  triggers:
    - type: metrics-api
      metricType: AverageValue
      metadata:
        url: "http://api.shop.svc:3000/work/queues/emails/scaling?window=1m&jobs_per_consumer=10"
        valueLocation: "consumers_wanted"
        targetValue: "1"
        activationTargetValue: "0"
`);
  });

  it('says all that can be said, with a trigger for each queue', () => {
    const yaml = scaledObject({
      ...least,
      queues: ['emails', 'texts'],
      url: 'https://api.shop.svc/',
      name: 'mailer-by-queue',
      namespace: 'shop',
      jobsPerConsumer: 25,
      window: '2 min',
      min: 1,
      max: 30,
      pollingInterval: 10,
      cooldown: 0,
      auth: 'work-api',
      authMode: 'apiKey',
    });

    expect(parse(yaml)).toEqual({
      apiVersion: 'keda.sh/v1alpha1',
      kind: 'ScaledObject',
      metadata: { name: 'mailer-by-queue', namespace: 'shop' },
      spec: {
        scaleTargetRef: { name: 'mailer' },
        minReplicaCount: 1,
        maxReplicaCount: 30,
        pollingInterval: 10,
        cooldownPeriod: 0,
        triggers: ['emails', 'texts'].map((queue) => ({
          type: 'metrics-api',
          metricType: 'AverageValue',
          metadata: {
            url: `https://api.shop.svc/queues/${queue}/scaling?window=2%20min&jobs_per_consumer=25`,
            // KEDA takes texts only.
            valueLocation: 'consumers_wanted',
            targetValue: '1',
            activationTargetValue: '0',
            authMode: 'apiKey',
          },
          authenticationRef: { name: 'work-api' },
        })),
      },
    });
    expect(yaml).not.toContain('#');
  });

  it('takes a bearer token to be what a TriggerAuthentication holds', () => {
    const { triggers } = read(scaledObject({ ...least, auth: 'work-api' })).spec;
    expect(triggers).toMatchObject([
      { metadata: { authMode: 'bearer' }, authenticationRef: { name: 'work-api' } },
    ]);
  });

  it('has room for min where nothing is said of max', () => {
    expect(read(scaledObject({ ...least, min: 12 })).spec.maxReplicaCount).toBe(12);
  });

  it('keeps names quoted that YAML would take for something else', () => {
    const written = read(scaledObject({ ...least, deployment: 'null', namespace: '1234', auth: 'true' }));
    expect(written).toMatchObject({
      metadata: { name: 'null', namespace: '1234' },
      spec: { triggers: [{ authenticationRef: { name: 'true' } }] },
    });
  });

  it.each([
    ['a/b', 'a%2Fb'],
    ['a?b#c&d=e', 'a%3Fb%23c%26d%3De'],
    ['100 %', '100%20%25'],
    ['"\\\n: #', '%22%5C%0A%3A%20%23'],
    ["it's", "it's"],
    ['köln-\u2028-🚚', 'k%C3%B6ln-%E2%80%A8-%F0%9F%9A%9A'],
    ['..', '%2E%2E'],
    ['v1.2', 'v1.2'],
    ['{shop}', '%7Bshop%7D'],
  ])('has queue %j as %s in its URL', (queue, path) => {
    expect(urlsOf({ ...least, queues: [queue] })).toEqual([
      `http://api.shop.svc:3000/work/queues/${path}/scaling?window=1m&jobs_per_consumer=10`,
    ]);
  });

  it('asks for what the endpoint answers', () => {
    const [scaling] = scalingOperations;
    const { path, parameters, answers } = scaling as unknown as {
      readonly path: string;
      readonly parameters: { readonly query: { readonly properties: object } };
      readonly answers: { readonly 200: { readonly schema: { readonly properties: object } } };
    };
    const [asked = ''] = urlsOf({ ...least, queues: ['{queue}'] });
    const url = new URL(asked);

    expect(decodeURIComponent(url.pathname)).toBe(`/work/${path}`);
    expect(Object.keys(parameters.query.properties).toSorted()).toEqual(
      [...url.searchParams.keys()].toSorted(),
    );
    expect(answers[200].schema.properties).toHaveProperty('consumers_wanted');
  });

  it('leads back to the queue whatever its name', () => {
    const name = fc.string({ unit: 'binary', minLength: 1 }).filter((queue) => queue.trim() !== '');
    fc.assert(
      fc.property(name, (queue) => {
        const yaml = scaledObject({ ...least, queues: [queue] });
        expect(yaml).toMatch(/^[\x20-\x7e\n]*$/);
        const [url] = read(yaml).spec.triggers.map(({ metadata }) => new URL(metadata.url));
        // URL itself takes %2E%2E for a step up; KEDA's client does not.
        if (/^\.{1,2}$/.test(queue)) return;
        expect(url?.pathname.split('/').map(decodeURIComponent)).toEqual([
          '',
          'work',
          'queues',
          queue,
          'scaling',
        ]);
        expect(url?.search).toBe('?window=1m&jobs_per_consumer=10');
      }),
    );
  });

  const wrong: [option: string, options: object][] = [
    ['queues', { queues: undefined }],
    ['queues', { queues: [] }],
    ['queues', { queues: 'emails' }],
    ['queues', { queues: [' '] }],
    ['queues', { queues: ['a', 'a'] }],
    ['queues', { queues: ['half \ud83d'] }],
    ['url', { url: undefined }],
    ['url', { url: '/work' }],
    ['url', { url: 'redis://api' }],
    ['url', { url: 'http://api/work?x=1' }],
    ['url', { url: 'http://api/work#x' }],
    ['url', { url: 'http://me:secret@api/work' }],
    ['deployment', { deployment: undefined }],
    ['deployment', { deployment: 'Mailer' }],
    ['deployment', { deployment: 'a\nb' }],
    ['deployment', { deployment: '-a' }],
    ['deployment', { deployment: 'a..b' }],
    ['deployment', { deployment: 'a'.repeat(254) }],
    ['name', { deployment: 'a'.repeat(64) }],
    ['name', { name: 'a'.repeat(64) }],
    ['name', { name: '' }],
    ['namespace', { namespace: 'a b' }],
    ['jobsPerConsumer', { jobsPerConsumer: 0 }],
    ['jobsPerConsumer', { jobsPerConsumer: 1.5 }],
    ['window', { window: 'soon' }],
    ['window', { window: '-1m' }],
    ['window', { window: Infinity }],
    ['window', { window: '25h' }],
    ['min', { min: -1 }],
    ['max', { max: 0 }],
    ['max', { min: 5, max: 4 }],
    ['pollingInterval', { pollingInterval: 0 }],
    ['cooldown', { cooldown: '5m' }],
    ['auth', { auth: 'a: b' }],
    ['authMode', { auth: 'work-api', authMode: 'cookie' }],
    ['authMode', { authMode: 'basic' }],
    ['queue', { queue: 'emails' }],
  ];

  it.each(wrong)('refuses what is wrong with %s: %o', (option, options) => {
    const attempt = (): string => scaledObject({ ...least, ...options });
    expect(attempt).toThrow(InvalidOptionError);
    expect(attempt).toThrow(expect.objectContaining({ option }));
  });

  it('repeats no password', () => {
    expect(() => scaledObject({ ...least, url: 'http://me:secret@api/work' })).toThrow(
      /^(?!.*secret).*…@api/,
    );
  });
});
