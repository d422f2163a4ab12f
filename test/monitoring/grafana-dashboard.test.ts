import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import {
  boardTargets,
  dashboard,
  dashboardFile,
  labelsIn,
  ourSeries,
  promtool,
  selectorsIn,
  withoutVariables,
} from '../support/monitoring.js';

// Where promtool is not installed, it is unpacked first.
vi.setConfig({ testTimeout: 240_000 });

describe('the Grafana dashboard', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-board-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const { panels, templating, __inputs: inputs } = dashboard;
  const shown = panels.filter(({ type }) => type !== 'row');

  /** What promtool makes of expressions, each as a rule. */
  function check(expressions: readonly string[]): ReturnType<typeof promtool> {
    const file = join(folder, 'expressions.yml');
    const rules = expressions.map((expr, index) => ({ record: `board:expression${index}`, expr }));
    writeFileSync(file, stringify({ groups: [{ name: 'board', rules }] }));
    return promtool('check', 'rules', file);
  }

  it('asks for its Prometheus as it is imported, and has a variable for it', () => {
    expect(inputs).toMatchObject([{ name: 'DS_PROMETHEUS', type: 'datasource', pluginId: 'prometheus' }]);
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'worker', 'queue']);
    expect(templating.list[0]).toMatchObject({ type: 'datasource', current: { value: '${DS_PROMETHEUS}' } });

    const used = [...shown, ...boardTargets].map(({ datasource }) => datasource?.uid);
    expect(new Set(used)).toEqual(new Set(['${datasource}']));
  });

  it('finds workers and queues by series of ours', () => {
    const asked = templating.list.flatMap(({ definition }) => definition ?? []);
    const names = asked.flatMap((definition) => definition.match(/(?:worker|task|job)_[a-z_]+/g) ?? []);
    expect(names.length).toBeGreaterThan(2);
    expect(names.filter((name) => !ourSeries.has(name))).toEqual([]);
  });

  it('has a row for workers, tasks and jobs, and a place of its own for each panel', () => {
    const rows = panels.filter(({ type }) => type === 'row').map(({ title }) => title.split(':')[0]);
    expect(rows).toEqual(['Workers', 'Tasks', 'Jobs']);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);

    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  });

  it.each(shown)('panel $id, $title, has a unit, a legend, and says what to do', (panel) => {
    expect(['s', 'short', 'percentunit']).toContain(panel.fieldConfig?.defaults.unit);
    expect(panel.description?.length).toBeGreaterThan(20);
    expect(panel.targets?.length).toBeGreaterThan(0);
    for (const { expr, legendFormat } of panel.targets ?? []) {
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      expect(named.length).toBeGreaterThan(0);
      // Each label in the legend is one that the sum keeps.
      const kept = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(', ') ?? [];
      expect(named.filter((label) => !kept.includes(label ?? ''))).toEqual([]);
      // And two lines never have one legend.
      expect(kept.filter((label) => label !== 'le' && !named.includes(label))).toEqual([]);
      if (/_seconds/.test(expr)) expect(panel.fieldConfig?.defaults.unit).toBe('s');
    }
  });

  it('asks for what Prometheus can parse', async () => {
    const expressions = boardTargets.map(({ expr }) => withoutVariables(expr));
    expect(expressions.filter((expr) => expr.includes('$'))).toEqual([]);
    expect(await check(expressions)).toMatchObject({
      ok: true,
      said: expect.stringContaining(`${expressions.length} rules found`),
    });
    expect(await check([...expressions, 'sum by (job_ready'])).toMatchObject({ ok: false });
  });

  it.each(boardTargets)('speaks of metrics and labels of ours: $expr', ({ expr }) => {
    const selected = selectorsIn(expr).map(({ series }) => series);
    expect(selected.length).toBeGreaterThan(0);
    expect(selected.filter((series) => !ourSeries.has(series))).toEqual([]);

    const labels = new Set(selected.flatMap((series) => ourSeries.get(series)?.labels ?? []));
    expect(labelsIn(expr).filter((label) => !labels.has(label) && label !== 'instance')).toEqual([]);
  });

  it('adds up what processes share by the largest, and what is their own by the sum', () => {
    const wrong = boardTargets.filter(({ expr }) => {
      const isShared = /\bjob_(?:ready|scheduled|active|dead|oldest_ready_age_seconds|paused)\b/.test(expr);
      return isShared !== expr.startsWith('max by (queue) (job_');
    });
    expect(wrong).toEqual([]);
    const counters = boardTargets.filter(({ expr }) => /_total/.test(expr));
    expect(counters.filter(({ expr }) => !/sum by \([^)]*\) \(rate\(/.test(expr))).toEqual([]);
  });

  it('shows every metric of ours', () => {
    const selected = boardTargets.flatMap(({ expr }) => selectorsIn(expr));
    const used = new Set(selected.map(({ series }) => ourSeries.get(series)?.metric));
    const all = new Set([...ourSeries.values()].map(({ metric }) => metric));
    expect(all.size).toBeGreaterThan(40);
    expect([...all].filter((metric) => !used.has(metric))).toEqual([]);
  });

  it('can be given a prefix as its description says', async () => {
    const { description } = dashboard as unknown as { readonly description: string };
    const [, script = ''] = /sed -E '(.*)' grafana-dashboard\.json/.exec(description) ?? [];
    const text = execFileSync('sed', ['-E', script, dashboardFile], { encoding: 'utf8' });
    const prefixed = (JSON.parse(text) as typeof dashboard).panels.flatMap(({ targets = [] }) => targets);

    expect(prefixed.map(({ expr }) => selectorsIn(expr).map(({ series }) => series))).toEqual(
      boardTargets.map(({ expr }) => selectorsIn(expr).map(({ series }) => `myapp_${series}`)),
    );
    expect(await check(prefixed.map(({ expr }) => withoutVariables(expr)))).toMatchObject({ ok: true });
  });
});
