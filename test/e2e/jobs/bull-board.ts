import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import type {
  AppControllerRoute,
  AppJob,
  AppQueue,
  BullBoardQueues,
  BullBoardRequest,
  ControllerHandlerReturnType,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import type { Queue } from 'bullmq';

type Method = 'get' | 'put' | 'post' | 'patch';

/** What a server of HTTP does for Bull Board, without HTTP: it keeps the routes, and calls them. */
class Routes implements IServerAdapter {
  #queues: BullBoardQueues = new Map();
  #routes: readonly AppControllerRoute[] = [];
  #uiConfig: UIConfig = {};
  #onError: (error: Error) => ControllerHandlerReturnType = (error) => {
    throw error;
  };

  setQueues(queues: BullBoardQueues): this {
    this.#queues = queues;
    return this;
  }

  setApiRoutes(routes: AppControllerRoute[]): this {
    this.#routes = routes;
    return this;
  }

  setUIConfig(config: UIConfig): this {
    this.#uiConfig = config;
    return this;
  }

  setErrorHandler(handler: (error: Error) => ControllerHandlerReturnType): this {
    this.#onError = handler;
    return this;
  }

  setViewsPath(): this {
    return this;
  }

  setStaticPath(): this {
    return this;
  }

  setEntryRoute(): this {
    return this;
  }

  /** The first route that fits, as a server finds it. */
  async call(method: Method, path: string, query: object = {}, body: object = {}): Promise<Answer> {
    for (const route of this.#routes) {
      const fits = [route.method].flat().includes(method);
      const params = fits ? paramsOf([route.route].flat(), path) : undefined;
      if (params === undefined) continue;
      const queues = this.#queues;
      const request: BullBoardRequest = {
        queues,
        uiConfig: this.#uiConfig,
        query,
        params,
        body,
        headers: {},
      };
      const answer = await Promise.resolve(route.handler(request)).catch((error) =>
        this.#onError(error as Error),
      );
      return { status: answer.status ?? 200, body: answer.body as Answer['body'] };
    }
    throw new Error(`Bull Board has no route ${method} ${path}`);
  }
}

export interface Answer {
  readonly status: number;
  readonly body: { readonly queues?: AppQueue[]; readonly job?: AppJob } & Record<string, unknown>;
}

/** Bull Board's own handlers, on queues of BullMQ. */
export class BullBoard {
  readonly #routes = new Routes();

  constructor(...queues: readonly Queue[]) {
    const ui = createRequire(import.meta.url).resolve('@bull-board/ui/package.json');
    createBullBoard({
      queues: queues.map((queue) => new BullMQAdapter(queue)),
      serverAdapter: this.#routes,
      // What it answers is compared with what its pages are made for.
      options: { uiBasePath: dirname(ui), validateResponses: true },
    });
  }

  /** A queue with its jobs, of one state or the latest of all. */
  async queue(name: string, status = 'latest'): Promise<AppQueue> {
    const query = { activeQueue: name, status, page: '1', jobsPerPage: '25' };
    const { body, status: code } = await this.#routes.call('get', '/api/queues', query);
    if (code !== 200) throw new Error(JSON.stringify(body));
    const found = body.queues?.find((queue) => queue.name === name);
    if (found === undefined) throw new Error(`Bull Board has no queue ${name}`);
    return found;
  }

  async job(name: string, id: string): Promise<{ readonly status: unknown } & AppJob> {
    const { status, body } = await this.#routes.call('get', `/api/queues/${name}/${encodeURIComponent(id)}`);
    if (status !== 200 || body.job === undefined) throw new Error(JSON.stringify(body));
    return { ...body.job, status: body['status'] };
  }

  /** What a button does: `retry` of a job, `pause` of a queue. */
  put(path: string, body: object = {}): Promise<Answer> {
    return this.#routes.call('put', `/api/queues/${path}`, {}, body);
  }

  get(path: string): Promise<Answer> {
    return this.#routes.call('get', path);
  }

  post(path: string, body: object): Promise<Answer> {
    return this.#routes.call('post', `/api/queues/${path}`, {}, body);
  }

  patch(path: string, body: object): Promise<Answer> {
    return this.#routes.call('patch', `/api/queues/${path}`, {}, body);
  }
}

function paramsOf(routes: readonly string[], path: string): Record<string, string> | undefined {
  for (const route of routes) {
    const pattern = new RegExp(`^${route.replaceAll(/:(\w+)/g, '(?<$1>[^/]+)')}$`, 'u');
    const groups = pattern.exec(path)?.groups;
    if (groups === undefined && !pattern.test(path)) continue;
    const decoded = Object.entries(groups ?? {}).map(([name, text]) => [name, decodeURIComponent(text)]);
    return Object.fromEntries(decoded) as Record<string, string>;
  }
  return undefined;
}
