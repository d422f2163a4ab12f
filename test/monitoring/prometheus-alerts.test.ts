import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import {
  type Alert,
  alertRules,
  alerts,
  alertsFile,
  labelsIn,
  ourSeries,
  promtool,
  selectorsIn,
} from '../support/monitoring.js';
import { section } from '../support/readme.js';
import { repository } from '../support/repository.js';

// Where promtool is not installed, it is unpacked first.
vi.setConfig({ testTimeout: 240_000 });

const casesFile = `${repository}test/monitoring/prometheus-alerts.promtool.yml`;

interface Cases {
  readonly rule_files: readonly string[];
  readonly tests: readonly {
    readonly promql_expr_test: readonly {
      readonly expr: string;
      readonly exp_samples: readonly { readonly labels: string }[];
    }[];
  }[];
}

describe('the alert rules', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-alerts-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const cases = parse(readFileSync(casesFile, 'utf8')) as Cases;
  it('are all in the README, with their severity', () => {
    const rows = [...section('### Prometheus and Grafana').matchAll(/^\| (`\w+`(?:, `\w+`)*) \| (\w+) \|/gm)];
    const listed = rows.flatMap(([, names = '', severity]) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => [name, severity]),
    );
    expect(Object.fromEntries(listed)).toEqual(
      Object.fromEntries(alerts.map(({ alert, labels }) => [alert, labels['severity']])),
    );
  });

  const checks = cases.tests.flatMap(({ promql_expr_test }) => promql_expr_test);
  const nameIn = (text: string): string | undefined => /alertname="(\w+)"/.exec(text)?.[1];

  /** Labels of each alert as it fires in the cases. */
  const fired = new Map(
    checks.flatMap(({ exp_samples }) =>
      exp_samples.flatMap(({ labels }) => {
        const name = nameIn(labels);
        return name === undefined ? [] : [[name, labelsIn(labels)] as const];
      }),
    ),
  );

  /** What promtool says of the cases with other rules. */
  async function said(change: (alert: Alert) => Partial<Alert>): Promise<string> {
    const groups = alertRules.groups.map(({ name, rules }) => ({
      name,
      rules: rules.map((alert) => ({ ...alert, ...change(alert) })),
    }));
    const rules = join(folder, 'rules.yml');
    const file = join(folder, 'cases.yml');
    writeFileSync(rules, stringify({ groups }));
    writeFileSync(file, stringify({ ...cases, rule_files: [rules] }, { aliasDuplicateObjects: false }));
    return (await promtool('test', 'rules', file)).said;
  }

  /** The alerts of which promtool says that they are not as the cases want them. */
  const failed = (text: string): string[] => {
    const found = Array.from(text.matchAll(/expr: "ALERTS\{alertname=\\"(\w+)/g), ([, name = '']) => name);
    return [...new Set(found)].toSorted();
  };
  const names = alerts.map(({ alert }) => alert).toSorted();

  it('are well formed', async () => {
    expect(await promtool('check', 'rules', alertsFile)).toMatchObject({
      ok: true,
      said: expect.stringContaining(`${alerts.length} rules found`),
    });
    expect(new Set(names).size).toBe(alerts.length);
  });

  it('fire when they should, and only then', async () => {
    expect(await promtool('test', 'rules', casesFile)).toMatchObject({
      ok: true,
      said: expect.stringContaining('SUCCESS'),
    });
  });

  it('have a case each that sees it fire: none passes once it never does', async () => {
    expect(failed(await said(({ expr }) => ({ expr: `(${expr}) and on () vector(0) == 1` })))).toEqual(names);
  });

  it('have a case each that sees it silent: none passes once it fires for all that there is', async () => {
    const loud = ({ alert, expr }: Alert): Partial<Alert> => {
      const by = ['worker', 'queue', 'backend', 'instance'].filter((label) =>
        fired.get(alert)?.includes(label),
      );
      return { expr: `group by (${by.join(', ')}) (${selectorsIn(expr)[0]?.series})` };
    };
    expect(failed(await said(loud))).toEqual(names);
  });

  it.each(alerts)('$alert is told of in full', ({ alert, labels, annotations, for: time }) => {
    expect(['critical', 'warning']).toContain(labels['severity']);
    expect(time).toMatch(/^\d+[mh]$/);
    expect(Object.keys(annotations)).toEqual(['summary', 'description']);
    expect(annotations['summary']).toContain('{{ $labels.');

    for (const text of Object.values(annotations)) {
      const shown = Array.from(text.matchAll(/\$labels\.(\w+)/g), ([, label = '']) => label);
      expect(fired.get(alert)).toEqual(expect.arrayContaining(shown));
    }
  });

  it.each(alerts)('$alert has its threshold explained', ({ alert }) => {
    const lines = readFileSync(alertsFile, 'utf8').split('\n');
    const begin = lines.findIndex((line) => line.endsWith(`- alert: ${alert}`));
    expect(lines[begin - 1]).toMatch(/^ {6}# /);
  });

  it.each(alerts)('$alert speaks of metrics and labels of ours', ({ expr }) => {
    const selected = selectorsIn(expr).map(({ series }) => series);
    expect(selected.length).toBeGreaterThan(0);
    expect(selected.filter((series) => !ourSeries.has(series))).toEqual([]);

    const labels = new Set(selected.flatMap((series) => ourSeries.get(series)?.labels ?? []));
    expect(labelsIn(expr).filter((label) => !labels.has(label))).toEqual([]);
  });

  it('can be given a prefix as the comment at their top says', async () => {
    const [, script = ''] =
      /^# +sed -E '(.*)' prometheus-alerts\.yml$/m.exec(readFileSync(alertsFile, 'utf8')) ?? [];
    const text = execFileSync('sed', ['-E', script, alertsFile], { encoding: 'utf8' });
    const file = join(folder, 'prefixed.yml');
    writeFileSync(file, text);

    expect(await promtool('check', 'rules', file)).toMatchObject({ ok: true });
    const prefixed = (parse(text) as typeof alertRules).groups.flatMap(({ rules }) => rules);
    expect(prefixed.map(({ expr }) => selectorsIn(expr).map(({ series }) => series))).toEqual(
      alerts.map(({ expr }) => selectorsIn(expr).map(({ series }) => `myapp_${series}`)),
    );
    expect(prefixed.map(({ expr }) => labelsIn(expr))).toEqual(alerts.map(({ expr }) => labelsIn(expr)));
  });
});
