import {
  Controller,
  Inject,
  Req,
  RequestMapping,
  RequestMethod,
  Res,
  SetMetadata,
  type Type,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { AccessGuard } from './access.guard.js';
import { callers, nobody } from './callers.js';
import type { HttpApi } from './http-api.js';
import { HTTP_API } from './http.tokens.js';
import type { Operation } from './operation.js';
import { type PlatformRequest, rawRequest, rawResponse } from './platform.js';
import { ProblemFilter } from './problem.filter.js';
import { replyWith } from './reply.js';
import { fastifyRouteConfig, type HttpPlace, nestPath, operationKey, placeInConfig } from './routes.js';

const methods = { get: RequestMethod.GET, post: RequestMethod.POST, delete: RequestMethod.DELETE } as const;

const streamHeaders = {
  // What compresses or caches answers would hold events back.
  'cache-control': 'no-store, no-transform',
  'x-content-type-options': 'nosniff',
  'x-accel-buffering': 'no',
};

/** What all controllers of operations have. */
abstract class OperationController {
  constructor(
    private readonly api: HttpApi,
    private readonly host: HttpAdapterHost,
  ) {}

  protected async answer(operation: Operation, request: PlatformRequest, response: object): Promise<void> {
    const answer = await this.api.answer(operation, rawRequest(request), callers.get(request) ?? nobody);
    if (!('stream' in answer)) return replyWith(this.host.httpAdapter, response, answer);
    const raw = rawResponse(response);
    raw.writeHead(200, { ...streamHeaders, 'content-type': answer.type });
    if (request.method === 'HEAD') return void raw.end();
    raw.flushHeaders();
    answer.stream(raw);
  }
}

/** A controller with a route for each of the operations. */
export function controllerOf(operations: readonly Operation[], place: HttpPlace): Type {
  const { path, version } = place;
  class WorkerHttpController extends OperationController {}
  const { prototype } = WorkerHttpController as { prototype: object };
  for (const operation of operations) {
    const { [operation.id]: handler } = {
      [operation.id](this: OperationController, request: PlatformRequest, response: object): Promise<void> {
        return this['answer'](operation, request, response);
      },
    };
    Object.defineProperty(prototype, operation.id, { value: handler, configurable: true });
    const descriptor = Object.getOwnPropertyDescriptor(prototype, operation.id)!;
    RequestMapping({ path: nestPath(operation.path), method: methods[operation.method] })(
      prototype,
      operation.id,
      descriptor,
    );
    Req()(prototype, operation.id, 0);
    Res()(prototype, operation.id, 1);
    SetMetadata(fastifyRouteConfig, { [placeInConfig]: place })(prototype, operation.id, descriptor);
    SetMetadata(operationKey, operation)(prototype, operation.id, descriptor);
  }
  Inject(HTTP_API)(WorkerHttpController, undefined, 0);
  Inject(HttpAdapterHost)(WorkerHttpController, undefined, 1);
  UseGuards(AccessGuard)(WorkerHttpController);
  UseFilters(ProblemFilter)(WorkerHttpController);
  Controller({ path, ...(version !== undefined && { version: version as string }) })(WorkerHttpController);
  return WorkerHttpController;
}
