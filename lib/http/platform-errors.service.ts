import type { HttpAdapterHost } from '@nestjs/core';
import type { HttpApi } from './http-api.js';
import { type HttpPlace, placeInConfig } from './routes.js';
import { type PlatformRequest } from './platform.js';
import { Problem } from './problem.js';
import { replyWith } from './reply.js';

interface FastifyRoute {
  url: string;
  config?: Readonly<Record<string, unknown>>;
  bodyLimit?: number;
  onRequest?: FastifyHook | FastifyHook[];
  errorHandler?: (error: unknown, request: PlatformRequest, reply: object) => void;
}

type FastifyHook = (request: PlatformRequest, reply: object, next: Next) => void;

/** What of Fastify is needed here. */
interface Fastify {
  addHook(name: 'onRoute', hook: (route: FastifyRoute) => void): unknown;
  all(
    path: string,
    options: Pick<FastifyRoute, 'errorHandler'>,
    handler: (request: PlatformRequest, reply: object) => void,
  ): unknown;
}

/** What of Express is needed here: `router` is that of version 5. */
interface Express {
  readonly router?: ExpressRouter;
  readonly _router?: ExpressRouter;
}

interface ExpressRouter {
  readonly stack: readonly { readonly route?: { readonly path: unknown } }[];
}

type Next = (error?: unknown) => void;

/** Anything below it tells where the module is, once prefix and version are before it. */
const landmark = '/overview';

/**
 * Answers what goes wrong before or beside Nest's routes (a body that is no JSON, a path that cannot be decoded, a path where
 * nothing is) in the form that errors have, and leaves other paths of the app alone.
 */
export class PlatformErrors {
  readonly #api: HttpApi;
  readonly #place: HttpPlace;
  readonly #host: HttpAdapterHost;
  /** Of Fastify: where the module is, as the app has it. */
  readonly #bases = new Set<string>();

  constructor(api: HttpApi, place: HttpPlace, host: HttpAdapterHost) {
    this.#api = api;
    this.#place = place;
    this.#host = host;
  }

  /** An app without HTTP has no adapter: `null`, or before Nest has looked for one `undefined`. */
  get #adapter(): HttpAdapterHost['httpAdapter'] | undefined {
    return (this.#host.httpAdapter as HttpAdapterHost['httpAdapter'] | null) ?? undefined;
  }

  get #isFastify(): boolean {
    return this.#adapter?.getType() === 'fastify';
  }

  beforeRoutes(): void {
    if (!this.#isFastify) return;
    this.#adapter!.getInstance<Fastify>().addHook('onRoute', (route) => {
      if (route.config?.[placeInConfig] !== this.#place) return;
      if (route.url.endsWith(landmark)) this.#bases.add(route.url.slice(0, -landmark.length));
      route.bodyLimit = this.#api.options.bodyLimit;
      route.onRequest = [this.#refuseEmpty, ...[route.onRequest ?? []].flat()];
      route.errorHandler = (error, _request, reply) => this.#reply(reply, this.#api.problem(error));
    });
  }

  /** A path whose parameter is empty: Express finds no route for it, and Fastify would ask the app what to say. */
  readonly #refuseEmpty: FastifyHook = ({ params }, reply, next) => {
    if (Object.values(Object(params) as object).includes('')) this.#reply(reply, unknownPath());
    else next();
  };

  afterRoutes(): void {
    if (this.#adapter === undefined) return;
    if (this.#isFastify) return this.#afterRoutesOfFastify();
    const isOurs = this.#belowBasesOfExpress();
    this.#adapter.use((request: PlatformRequest, response: object, next: Next) => {
      if (isOurs(request)) this.#reply(response, unknownPath());
      else next();
    });
    // Express knows by its four parameters that it is for errors.
    this.#adapter.use((error: unknown, request: PlatformRequest, response: object, next: Next) => {
      if (isOurs(request)) this.#reply(response, this.#api.problem(error));
      else next(error);
    });
  }

  #afterRoutesOfFastify(): void {
    for (const base of this.#bases) {
      const page = `${base}/`;
      // Whatever is wrong with a body that is sent to nowhere.
      const errorHandler = (_error: unknown, _request: PlatformRequest, reply: object): void =>
        this.#reply(reply, unknownPath());
      this.#adapter!.getInstance<Fastify>().all(`${page}*`, { errorHandler }, ({ method, url }, reply) => {
        // Where Express takes the page with a slash at its end for the page, Fastify does not.
        if (url.split('?', 1)[0] === page && (method === 'GET' || method === 'HEAD')) {
          const headers = { location: `../${base.split('/').at(-1)!}` };
          replyWith(this.#adapter!, reply, { status: 308, body: '', type: 'text/plain', headers });
        } else this.#reply(reply, unknownPath());
      });
    }
  }

  /** Below the paths that the routes have got, with the prefix and the versions of the app. */
  #belowBasesOfExpress(): (request: PlatformRequest) => boolean {
    const { router, _router } = this.#adapter!.getInstance<Express>();
    const end = `/${this.#place.path}${landmark}`;
    const bases = ((router ?? _router)?.stack ?? []).flatMap(({ route }) => {
      const path = route?.path;
      return typeof path === 'string' && path.endsWith(end) ? [path.slice(0, -landmark.length)] : [];
    });
    const patterns = bases.map(
      (base) => new RegExp(`^${base.split('/').map(segmentPattern).join('/')}/`, 'i'),
    );
    return ({ originalUrl, url }) => {
      const path = `${(originalUrl ?? url).split('?', 1)[0]!}/`;
      return patterns.some((pattern) => pattern.test(path));
    };
  }

  #reply(response: object, { status, document }: Problem): void {
    replyWith(this.#adapter!, response, { status, body: document });
  }
}

/** A global prefix may have parameters. */
function segmentPattern(segment: string): string {
  return segment.startsWith(':') ? '[^/]+' : segment.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function unknownPath(): Problem {
  return new Problem(404, 'ROUTE_NOT_FOUND', 'There is nothing at this path, or not with this method.');
}
