import { register, type Registry } from 'prom-client';

/** The samples of a registry as Prometheus would scrape them, by their text: `worker_running{worker="relay"}`. */
export async function scrape(registry: Registry = register): Promise<ReadonlyMap<string, number>> {
  const text = await registry.metrics();
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))] as const;
      }),
  );
}

/** The names that a scrape has, without labels and without the suffixes of a histogram or summary. */
export async function metricNamesOf(registry: Registry = register): Promise<string[]> {
  return (await registry.getMetricsAsJSON()).map(({ name }) => name);
}

/** How often the attempts of a worker began and ended, by status. */
export async function executionsOf(
  worker: string,
  registry: Registry = register,
  name = 'worker_executions_total',
): Promise<Record<string, number | undefined>> {
  const samples = await scrape(registry);
  return Object.fromEntries(
    ['started', 'restarted', 'success', 'error', 'cancelled'].map((status) => [
      status,
      samples.get(`${name}{worker="${worker}",status="${status}"}`),
    ]),
  );
}
