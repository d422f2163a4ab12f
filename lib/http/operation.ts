import type { ServerResponse } from 'node:http';
import type { Static, TObject, TSchema } from '@sinclair/typebox';
import type { Access } from './documents/overview.js';
import type { HttpApp } from './http-app.js';

/** Who sends a request. */
export interface Caller {
  readonly access: Access;
  /** Who it is, as far as the guards tell. */
  readonly name: string | null;
}

/** What a request is answered with. */
export interface Answer {
  readonly status?: number;
  readonly body: unknown;
  /** Without it `body` is sent as JSON. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What it was about, where the request does not say so: for the audit. */
  readonly target?: Readonly<Record<string, string>>;
}

/** Instead of an answer: it goes on until one of the two sides ends it. */
export interface Stream {
  readonly stream: (response: ServerResponse) => void;
  readonly type: string;
}

/** Given to an operation: what of the request its schemas have let through. */
export interface Input<Path extends TSchema, Query extends TSchema, Body extends TSchema> {
  readonly path: Static<Path>;
  readonly query: Static<Query>;
  readonly body: Static<Body>;
  /** As it was asked for, with the query. */
  readonly url: string;
}

export interface OperationAnswer {
  readonly description: string;
  readonly schema?: TSchema;
  /** Where it is not JSON. */
  readonly type?: string;
}

/**
 * One thing that can be asked for or done over HTTP. From these values the routes are made, requests are checked, and the
 * OpenAPI document is written: what one of them says holds everywhere.
 */
export interface Operation<
  Path extends TObject = TObject,
  Query extends TObject = TObject,
  Body extends TSchema = TSchema,
> {
  /** Its `operationId`, and the name of its handler. */
  readonly id: string;
  readonly method: 'get' | 'post' | 'delete';
  /** Below the path of the module, as OpenAPI writes it: `queues/{queue}/jobs`. */
  readonly path: string;
  /** `page`: the files of the dashboard, which hold no data; `command`: changes something, for operators only. */
  readonly access: 'page' | 'read' | 'operator' | 'command';
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: { readonly path?: Path; readonly query?: Query };
  readonly body?: Body;
  /** Whether it may be left out, and is `{}` then. Default false. */
  readonly bodyOptional?: boolean;
  /** Statuses of the answers that it gives itself, beside those that all can give. */
  readonly answers: Readonly<Record<number, OperationAnswer>>;
  readonly run: (
    app: HttpApp,
    input: Input<Path, Query, Body>,
    caller: Caller,
  ) => Promise<Answer> | Answer | Stream;
}

/** Keeps the types of a single operation together. */
export function operation<Path extends TObject, Query extends TObject, Body extends TSchema>(
  definition: Operation<Path, Query, Body>,
): Operation {
  return definition as unknown as Operation;
}
