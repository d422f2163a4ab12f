import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { type FormatsPlugin, default as formats } from 'ajv-formats';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Operation } from '../../lib/http/operation.js';
import { operations } from '../../lib/http/operations.js';
import { httpErrorCodes } from 'nestjs-worker/http';
import { requestOf } from '../e2e/http/operation-requests.js';
import { EventStream } from '../e2e/http/event-stream.js';
import { asOperator, asViewer, bootOperated, guarded, HttpClient, operatedApp } from '../support/http-app.js';
import { platforms } from '../support/nest.js';

interface Schema {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
}
interface OperationObject {
  readonly operationId: string;
  readonly summary?: string;
  readonly parameters?: readonly {
    name: string;
    in: string;
    required: boolean;
    description?: string;
    schema: Schema;
  }[];
  readonly requestBody?: object;
  readonly responses: Readonly<
    Record<string, { description?: string; content?: Readonly<Record<string, { schema?: Schema }>> }>
  >;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

let document: Document;
beforeAll(async () => {
  const operation = operations.find(({ id }) => id === 'getOpenApi')!;
  const answer = await operation.run(
    {} as never,
    { path: {}, query: {}, body: {}, url: '' },
    {
      access: 'viewer',
      name: null,
    },
  );
  document = JSON.parse((answer as { body: string }).body) as Document;
});

/** All but the document itself and the page. */
const documented = operations.filter(({ id, access }) => access !== 'page' && id !== 'getOpenApi');

const pointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** Says whether answers are as the document promises. */
class Promised {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #known = new Map<string, ValidateFunction>();

  constructor(private readonly document: Document) {
    (formats as unknown as FormatsPlugin)(this.#ajv);
    this.#ajv.addSchema(document, 'openapi.json');
  }

  /** What is wrong with an answer; empty: nothing. */
  faults({ method, path }: Operation, status: number, body: unknown): string[] {
    const response = this.document.paths[`/${path}`]?.[method]?.responses[status];
    if (response === undefined) return [`${status} is not documented`];
    const at = [
      'paths',
      `/${path}`,
      method,
      'responses',
      String(status),
      'content',
      'application/json',
      'schema',
    ];
    return this.check(`#/${at.map(pointer).join('/')}`, body);
  }

  check(ref: string, body: unknown): string[] {
    const $ref = `openapi.json${ref}`;
    const validate = this.#known.get($ref) ?? this.#ajv.compile({ $ref });
    this.#known.set($ref, validate);
    if (validate(body)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  }
}

/** Every object in the document that is a schema's, with where it is. */
function* schemasIn(value: unknown, path = ''): Iterable<[string, Schema]> {
  if (typeof value !== 'object' || value === null) return;
  yield [path, value as Schema];
  for (const [key, one] of Object.entries(value)) yield* schemasIn(one, `${path}/${key}`);
}

describe('The OpenAPI document', () => {
  it('is valid', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document) as never);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    expect(document.openapi).toBe('3.1.0');
  });

  it('has each operation, and each of its operations has a route', () => {
    const written = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => `${method} ${path} ${operationId}`),
    );
    expect(written.toSorted()).toEqual(
      documented.map(({ method, path, id }) => `${method} /${path} ${id}`).toSorted(),
    );
    expect(written.length).toBeGreaterThan(20);
  });

  it('refers to what is there only', () => {
    const references = [...schemasIn(document)].flatMap(([, { $ref }]) =>
      typeof $ref === 'string' ? [$ref] : [],
    );
    expect(references.length).toBeGreaterThan(50);
    for (const reference of new Set(references)) {
      expect(Object.keys(document.components.schemas)).toContain(
        reference.replace('#/components/schemas/', ''),
      );
    }
    // What the stream of events tells is JSON inside of text.
    const used = new Set(['Change', ...references.map((reference) => reference.split('/').at(-1))]);
    expect(Object.keys(document.components.schemas).filter((name) => !used.has(name))).toEqual([]);
  });

  it('has nothing of the library that the schemas are written with', () => {
    for (const [path, schema] of schemasIn(document)) {
      expect([path, Object.keys(schema)]).not.toEqual([path, expect.arrayContaining(['$id'])]);
      expect([path, 'patternProperties' in schema && path.includes('/parameters/')]).toEqual([path, false]);
    }
    expect(JSON.stringify(document)).not.toMatch(/TypeBox|"(?:Kind|Hint|Optional|static|\$id)"/);
  });

  it('describes every operation, parameter and answer, and every figure', () => {
    const bare: string[] = [];
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, { summary, parameters = [], responses }] of Object.entries(methods)) {
        if (!summary) bare.push(`${method} ${path}`);
        for (const { name, description } of parameters)
          if (!description) bare.push(`${method} ${path} ${name}`);
        for (const [status, { description }] of Object.entries(responses))
          if (!description) bare.push(`${method} ${path} ${status}`);
      }
    }
    for (const [name, { properties = {} }] of Object.entries(document.components.schemas)) {
      for (const [property, { description, type }] of Object.entries(properties)) {
        if (!description && (type === 'integer' || type === 'number')) bare.push(`${name}.${property}`);
      }
    }
    expect(bare).toEqual([]);
  });

  it('says which parameters are in the path, and that these are required', () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { parameters = [] } of Object.values(methods)) {
        const written = parameters.filter((one) => one.in === 'path');
        expect(written.map(({ name }) => name)).toEqual(inPath);
        expect(written.every(({ required }) => required)).toBe(true);
      }
    }
  });

  it('names every code of errors', () => {
    for (const code of Object.keys(httpErrorCodes))
      expect(document.info.description).toContain(`\`${code}\``);
  });
});

describe.each(platforms)('What is answered, on %s', (platform) => {
  it('is what the document says, of every operation', async () => {
    const client = await bootOperated(operatedApp(guarded), platform);
    const promised = new Promised(document);
    await client.post('/queues/mails/jobs', { id: 'failed', payload: { fail: 'no' }, priority: 3 });
    await client
      .taskQueue('thumbs')
      .enqueue(() => Promise.reject(new Error('no')))
      .done.catch(() => {});
    await expect.poll(async () => (await client.get('/jobs/failed')).body['state']).toBe('dead');
    const statuses = new Map<string, Set<number>>();
    const check = async (
      operation: Operation,
      by: HttpClient,
      path?: string,
      body?: unknown,
    ): Promise<void> => {
      const [method, usual, usualBody] = requestOf(operation);
      const reply = await by.ask(method, path ?? usual, body ?? usualBody);
      const { id } = operation;
      statuses.set(id, (statuses.get(id) ?? new Set()).add(reply.status));
      expect([id, reply.status, promised.faults(operation, reply.status, reply.body)]).toEqual([
        id,
        reply.status,
        [],
      ]);
    };
    for (const operation of documented) {
      if (operation.id === 'streamEvents') continue;
      await client.post('/queues/idle/jobs', { id: 'one', delay: '1h' });
      await check(operation, client);
      await client.post('/queues/idle/jobs', { id: 'one', delay: '1h' });
      for (const headers of [asViewer, {}]) await check(operation, client.as(headers));
      if (operation.path.includes('{')) {
        const [, usual] = requestOf(operation);
        await check(operation, client, usual.replace(/\/(?:steady|thumbs|mails|one)(?=\/|$|\?)/, '/nix'));
      }
      if (operation.body !== undefined) {
        await check(operation, client, undefined, '{"nonsense":1}');
        await check(operation, client, undefined, `"${'x'.repeat(1_100_000)}"`);
      }
    }
    for (const path of ['/queues/mails/jobs?state=dead&limit=1', '/queues/mails/jobs?state=nix']) {
      await check(
        documented.find(({ id }) => id === 'listJobs')!,
        client,
        path,
      );
    }
    for (const [id, path] of [
      ['getJobById', '/jobs/failed'],
      ['getWorker', '/workers/broken'],
      ['startWorker', '/workers/off/start'],
      ['cancelJob', '/jobs/failed/cancel'],
    ]) {
      await check(
        documented.find((one) => one.id === id)!,
        client,
        path,
      );
    }
    // It has seen good and bad ones.
    expect([...statuses.values()].reduce((sum, { size }) => sum + size, 0)).toBeGreaterThan(70);
    await client.app.close();
  });

  it('is so of the events, too', async () => {
    const client = await bootOperated(operatedApp(guarded), platform);
    const promised = new Promised(document);
    const stream = await EventStream.open(`${client.url}/events`, asOperator);
    const overview = await stream.next('overview');
    expect(promised.check('#/components/schemas/Overview', overview)).toEqual([]);
    await client.post('/queues/mails/pause');
    expect(promised.check('#/components/schemas/Command', await stream.next('command'))).toEqual([]);
    const { job_queues } = await stream.next<{ job_queues?: unknown[] }>(
      'change',
      (data) => 'job_queues' in data,
    );
    for (const one of job_queues!) {
      expect(promised.check('#/components/schemas/JobQueueSummary', one)).toEqual([]);
    }
  });

  it('is the document at /openapi.json', async () => {
    const client = await bootOperated(operatedApp(guarded), platform);
    const { status, headers, body } = await client.as(asViewer).get('/openapi.json');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(body).toEqual(document);
  });
});
