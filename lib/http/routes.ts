import type { Operation } from './operation.js';

const operations = new WeakMap<object, Operation>();

/** Remembers what a handler of the controller is for. */
export function routeTo(handler: object, operation: Operation): void {
  operations.set(handler, operation);
}

export function operationOf(handler: object): Operation {
  return operations.get(handler)!;
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
