import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DebianTool, findDebianTool } from './debian-tool.js';

const tool: DebianTool = { command: 'no-such-tool', package: 'no-such-package', variable: 'NO_SUCH_TOOL' };

function emptyMachine(): NodeJS.ProcessEnv {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-worker-tool-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return { PATH: folder, XDG_CACHE_HOME: folder };
}

it('takes what the variable says', async () => {
  const env = { ...emptyMachine(), NO_SUCH_TOOL: process.execPath };
  expect(await findDebianTool(tool, env)).toEqual({ path: process.execPath, env: {} });
});

it('takes it from the folder that the variable says', async () => {
  const folder = dirname(process.execPath);
  const env = { ...emptyMachine(), NO_SUCH_TOOL: folder };
  const node = { ...tool, command: basename(process.execPath) };
  expect(await findDebianTool(node, env)).toEqual({ path: process.execPath, env: {} });
});

it('refuses a variable that leads to nothing', async () => {
  const env = { ...emptyMachine(), NO_SUCH_TOOL: '/nowhere' };
  await expect(findDebianTool(tool, env)).rejects.toThrow('NO_SUCH_TOOL is "/nowhere", which is no program.');
});

it('finds it on PATH', async () => {
  expect(await findDebianTool({ ...tool, command: 'env' })).toMatchObject({ env: {} });
});

describe('where Debian has a folder for each version', () => {
  function machine(...files: readonly string[]): { env: NodeJS.ProcessEnv; top: string } {
    const env = emptyMachine();
    const top = env['PATH'] ?? '';
    for (const file of files) {
      mkdirSync(join(top, dirname(file)), { recursive: true });
      writeFileSync(join(top, file), '', { mode: 0o755 });
    }
    return { env, top };
  }

  it('takes the newest that is installed', async () => {
    const { env, top } = machine('lib/9/bin/no-such-tool', 'lib/16/bin/no-such-tool', 'lib/17/bin/other');
    const found = await findDebianTool({ ...tool, folders: [`${top}/lib/*/bin`] }, env);
    expect(found).toEqual({ path: `${top}/lib/16/bin/no-such-tool`, env: {} });
  });

  it('finds what an earlier run has put there, and its libraries', async () => {
    const root = `nestjs-worker/no-such-package-${process.arch}`;
    const { env, top } = machine(
      `${root}/opt/no-such/8/bin/no-such-tool`,
      `${root}/usr/lib/a-linux-gnu/a.so`,
    );
    const found = await findDebianTool({ ...tool, folders: ['/opt/no-such/*/bin'] }, env);
    expect(found).toEqual({
      path: `${top}/${root}/opt/no-such/8/bin/no-such-tool`,
      env: { LD_LIBRARY_PATH: `${top}/${root}/usr/lib/a-linux-gnu` },
    });
  });

  it('takes that also where another is installed, if told to', async () => {
    const unpacked = `nestjs-worker/no-such-package-${process.arch}/usr/bin/no-such-tool`;
    const { env, top } = machine('no-such-tool', unpacked);
    expect(await findDebianTool(tool, env)).toMatchObject({ path: `${top}/no-such-tool` });
    const told = { ...env, DEBIAN_TOOLS: 'unpacked' };
    expect(await findDebianTool(tool, told)).toMatchObject({ path: `${top}/${unpacked}` });
  });
});

it('says what to install where it cannot install it', async () => {
  await expect(findDebianTool(tool, emptyMachine())).rejects.toThrow(
    /need no-such-tool.*apt-get install no-such-package.*NO_SUCH_TOOL/,
  );
});
