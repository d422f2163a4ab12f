// What the reports share: running scenarios in processes of their own, medians, tables.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Runs each measurement `rounds` times, one after another, so that a machine that slows down slows all of them.
 * `measurements`: name → [scenario, parameters]. Answers the figures of each: name → figure → values. `node` runs them.
 */
export async function measure(file, measurements, rounds, once = () => false, node = process.execPath) {
  const measured = {};
  for (let round = 1; round <= rounds; round++) {
    for (const [name, [scenario, parameters]] of Object.entries(measurements)) {
      if (once(name) && round > 1) continue;
      process.stderr.write(`\r${`round ${round} of ${rounds}: ${name}`.padEnd(70)}`);
      const args = ['--expose-gc', '--no-warnings', here(file), scenario, JSON.stringify(parameters)];
      const { stdout } = await run(node, args);
      for (const [figure, value] of Object.entries(JSON.parse(stdout))) {
        ((measured[name] ??= {})[figure] ??= []).push(value);
      }
    }
  }
  process.stderr.write('\r'.padEnd(71) + '\r');
  return measured;
}

export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** `NaN` where it was not measured: the short form leaves some out. */
export const medianOf = (measured, name, figure) => median(measured[name]?.[figure] ?? [NaN]);

/** Nothing for what was not measured. */
export const shown = (value, show) => (Number.isNaN(value) ? '' : show(value));

export const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

export const verdict = (met) => (met ? 'met' : 'missed');

export const cores = `${cpus().length} x ${cpus()[0]?.model.trim()}`;
export const machine = `Node ${process.version}, ${cores}`;

/** Prints a report, and keeps it with its figures, unless it is a short one. */
export function publish(name, report, measured, short) {
  process.stdout.write(report);
  if (short) return;
  mkdirSync(here('results'), { recursive: true });
  writeFileSync(here(`results/${name}.md`), report);
  writeFileSync(here(`results/${name}.json`), `${JSON.stringify(measured, undefined, 2)}\n`);
}

export function version(name) {
  return JSON.parse(readFileSync(here(`../../node_modules/${name}/package.json`), 'utf8')).version;
}
