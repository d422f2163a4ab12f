import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { Program } from './program.js';
import { findDebianTool } from './debian-tool.js';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Answer {
  readonly data: {
    readonly result: readonly { metric: Record<string, string>; value: [time: number, value: string] }[];
  };
}

/** A real Prometheus that scrapes one target every second. */
export class Prometheus {
  readonly #program: Program;
  readonly #url: string;
  readonly #folder: string;

  private constructor(program: Program, url: string, folder: string) {
    this.#program = program;
    this.#url = url;
    this.#folder = folder;
  }

  /** Installs it where that is necessary and possible. `target` is the URL of the app. */
  static async start(target: string): Promise<Prometheus> {
    const { path, env } = await findDebianTool({
      command: 'prometheus',
      package: 'prometheus',
      variable: 'PROMETHEUS_BIN',
    });
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-worker-prometheus-'));
    const config = join(folder, 'prometheus.yml');
    await writeFile(config, configFor(new URL(target).host));
    const address = `127.0.0.1:${await freePort()}`;
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
    ];
    const prometheus = new Prometheus(new Program(path, args, env), `http://${address}`, folder);
    try {
      await prometheus.#ready();
    } catch (error) {
      await prometheus.stop();
      throw error;
    }
    return prometheus;
  }

  /** Answers an instant query. */
  async query(promql: string): Promise<Sample[]> {
    const response = await fetch(`${this.#url}/api/v1/query?query=${encodeURIComponent(promql)}`);
    if (!response.ok) throw new Error(`${promql}: ${await response.text()}`);
    const { data } = (await response.json()) as Answer;
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** The names of all series that it has stored. */
  async names(): Promise<string[]> {
    const response = await fetch(`${this.#url}/api/v1/label/__name__/values`);
    if (!response.ok) throw new Error(await response.text());
    const { data } = (await response.json()) as { readonly data: string[] };
    return data;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #ready(): Promise<void> {
    await vi.waitUntil(
      async () => {
        if (!this.#program.running) throw new Error(`It has ended: ${this.#program.stderr.join('\n')}`);
        return (await fetch(`${this.#url}/-/ready`).catch(() => undefined))?.ok;
      },
      { timeout: 20_000, interval: 50 },
    );
  }
}

function configFor(target: string): string {
  return `
global: { scrape_interval: 1s }
scrape_configs:
  - job_name: sample-app
    static_configs: [{ targets: ['${target}'] }]
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
