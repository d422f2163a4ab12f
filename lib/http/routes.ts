import type { Operation } from './operation.js';

/**
 * In the metadata of a handler: what it is for. Not by the handler itself, since what instruments an app puts functions of its own in
 * the place of handlers, and takes their metadata along.
 */
export const operationKey = 'nestjs-worker:http:operation';

export function operationOf(handler: object): Operation {
  return Reflect.getMetadata(operationKey, handler) as Operation;
}

/** A path of OpenAPI as Nest writes it. */
export function nestPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

/** Where a module is. */
export interface HttpPlace {
  readonly path: string;
  readonly version?: string | string[] | symbol | undefined;
}

/** What Nest's Fastify adapter calls the config of a route in the metadata of its handler, as `RouteConfig()` sets it. */
export const fastifyRouteConfig = '__fastify_route_config__';
/** In it: the place of the module that the route belongs to. */
export const placeInConfig = 'nestjsWorkerHttp';
