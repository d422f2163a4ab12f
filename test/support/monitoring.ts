import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { isDistributionMetric } from '../../lib/integrations/prometheus/distribution-metric.js';
import { jobMetricDefinitions } from '../../lib/integrations/prometheus/job-metric-definitions.js';
import { taskMetricDefinitions } from '../../lib/integrations/prometheus/task-metric-definitions.js';
import { workerMetricDefinitions } from '../../lib/integrations/prometheus/worker-metric-definitions.js';
import { findDebianTool } from './debian-tool.js';
import { repository } from './repository.js';

export const alertsFile = `${repository}monitoring/prometheus-alerts.yml`;
export const dashboardFile = `${repository}monitoring/grafana-dashboard.json`;

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface AlertRules {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Alert[] }[];
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly Target[];
}

export interface Target {
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}

export interface Dashboard {
  readonly __inputs: readonly { readonly name: string; readonly type: string; readonly pluginId: string }[];
  readonly templating: {
    readonly list: readonly {
      readonly name: string;
      readonly type: string;
      readonly definition?: string;
      readonly current: { readonly value: unknown };
    }[];
  };
  readonly panels: readonly Panel[];
}

export const alertRules = parse(readFileSync(alertsFile, 'utf8')) as AlertRules;
export const alerts = alertRules.groups.flatMap(({ rules }) => rules);
export const dashboard = JSON.parse(readFileSync(dashboardFile, 'utf8')) as Dashboard;
export const boardTargets = dashboard.panels.flatMap(({ targets = [] }) => targets);

/** The same expression with everything chosen, as Grafana asks for it. */
export const withoutVariables = (expr: string): string =>
  expr.replaceAll('[$__rate_interval]', '[1m]').replaceAll(/\$(?:worker|queue)\b/g, '.*');

/** What prom-client calls the series of each metric of ours, and the labels that they have. */
export const ourSeries: ReadonlyMap<string, { readonly metric: string; readonly labels: readonly string[] }> =
  new Map(
    [...workerMetricDefinitions, ...taskMetricDefinitions, ...jobMetricDefinitions].flatMap((definition) => {
      const { name: metric, help, labelNames, make } = definition;
      const made = make({ name: metric, help, labelNames, registers: [new Registry()] }, {});
      const endings = isDistributionMetric(made) ? ['_bucket', '_sum', '_count'] : [''];
      return endings.map((ending) => {
        const labels = ending === '_bucket' ? [...labelNames, 'le'] : labelNames;
        return [metric + ending, { metric, labels }] as const;
      });
    }),
  );

/** What an expression selects, with its matchers: `worker_executions_total{status="error"}`. */
export function selectorsIn(expr: string): { readonly series: string; readonly matchers: string }[] {
  const rest = expr.replaceAll(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, ' ');
  // Not what is inside of matchers, and neither functions nor operators.
  const found = rest.matchAll(
    /"[^"]*"|\[[^\]]*\]|\b(?:and|or|unless)\b|\b[a-z_]+\b(?=\s*\()|\b([a-z_]+)\b(\{[^}]*\})?/g,
  );
  return [...found].flatMap(([, series, matchers = '']) =>
    series === undefined ? [] : [{ series, matchers }],
  );
}

/** The labels that an expression speaks of. */
export function labelsIn(expr: string): string[] {
  const grouped = [...expr.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)].flatMap(
    ([, names = '']) => names.split(','),
  );
  const matched = [...expr.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, name = '']) => name);
  return [...new Set([...grouped, ...matched].map((name) => name.trim()))].filter((name) => name !== '');
}

/** Runs promtool; answers whether it was content, and all that it said. */
export async function promtool(...args: string[]): Promise<{ ok: boolean; said: string }> {
  const { path, env } = await findDebianTool({
    command: 'promtool',
    package: 'prometheus',
    variable: 'PROMTOOL_BIN',
  });
  return new Promise((resolve) => {
    execFile(path, args, { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
      resolve({ ok: error === null, said: stdout + stderr }),
    );
  });
}
