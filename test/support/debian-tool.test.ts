import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
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

it('refuses a variable that leads to nothing', async () => {
  const env = { ...emptyMachine(), NO_SUCH_TOOL: '/nowhere' };
  await expect(findDebianTool(tool, env)).rejects.toThrow('NO_SUCH_TOOL is "/nowhere", which is no program.');
});

it('finds it on PATH', async () => {
  expect(await findDebianTool({ ...tool, command: 'env' })).toMatchObject({ env: {} });
});

it('says what to install where it cannot install it', async () => {
  await expect(findDebianTool(tool, emptyMachine())).rejects.toThrow(
    /need no-such-tool.*apt-get install no-such-package.*NO_SUCH_TOOL/,
  );
});
