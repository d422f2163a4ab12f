import { Type } from '@sinclair/typebox';
import { dashboardFiles } from '../dashboard-files.generated.js';
import { dashboardPage, pageHeaders } from '../dashboard-page.js';
import type { HttpApp } from '../http-app.js';
import { operation, type Operation } from '../operation.js';
import { Problem } from '../problem.js';

const tag = 'dashboard';

/** Throws `Problem` where there is to be none. */
function checkWanted({ options }: HttpApp): void {
  if (!options.dashboard) throw new Problem(404, 'ROUTE_NOT_FOUND', 'The dashboard is switched off.');
}

export const pageOperations: readonly Operation[] = [
  operation({
    id: 'getDashboard',
    method: 'get',
    path: '',
    access: 'page',
    tag,
    summary: 'The dashboard',
    answers: {},
    run(app, { url }) {
      checkWanted(app);
      // What a browser takes as the folder of the page depends on the slash at its end.
      const base = url.split('?', 1)[0]!.endsWith('/') ? '.' : app.folder;
      return {
        body: dashboardPage(base, app.options),
        type: 'text/html; charset=utf-8',
        headers: pageHeaders,
      };
    },
  }),
  operation({
    id: 'getDashboardFile',
    method: 'get',
    path: 'assets/{file}',
    access: 'page',
    tag,
    summary: 'What the dashboard is made of',
    parameters: {
      path: Type.Object({ file: Type.String() }),
      query: Type.Object({ v: Type.Optional(Type.Unknown()) }),
    },
    answers: {},
    run(app, { path: { file: name }, query: { v } }) {
      checkWanted(app);
      const file = Object.hasOwn(dashboardFiles, name) ? dashboardFiles[name] : undefined;
      if (file === undefined) throw new Problem(404, 'ROUTE_NOT_FOUND', 'The dashboard has no such file.');
      // By its hash a browser may keep it for good; guards decide anew about whoever asks.
      const cache = v === file.hash ? 'private, max-age=31536000, immutable' : 'no-cache';
      return { body: file.body, type: file.type, headers: { 'cache-control': cache } };
    },
  }),
];
