import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { type DebianTool, findDebianTool, type FoundTool } from './debian-tool.js';

const tool: DebianTool = { command: 'chromium', package: 'chromium', variable: 'CHROMIUM_BIN' };

/** Where Chromium is. Unpacks Debian's into the user's cache where there is none. */
export async function findChromium(env = process.env): Promise<FoundTool> {
  const found = await findDebianTool(tool, env);
  // Debian's command is a script that looks for the program, and for settings, where they would be installed.
  const root = found.path.replace(/\/usr\/bin\/chromium$/, '');
  const program = join(root, 'usr/lib/chromium/chromium');
  if (root === '' || root === found.path || !existsSync(program)) return found;
  const libraries = (found.env['LD_LIBRARY_PATH'] ?? '').split(delimiter);
  // A library of its libraries has a folder of its own.
  const more = libraries.map((folder) => join(folder, 'pulseaudio')).filter((folder) => existsSync(folder));
  const fonts = existsSync(join(root, 'etc/fonts/fonts.conf')) ? { FONTCONFIG_SYSROOT: root } : {};
  return { path: program, env: { LD_LIBRARY_PATH: [...libraries, ...more].join(delimiter), ...fonts } };
}

/** A browser without windows. Close it. */
export async function launchChromium(env = process.env): Promise<Browser> {
  const { path, env: more } = await findChromium(env);
  return chromium.launch({
    executablePath: path,
    env: { ...env, ...more },
    // Its own sandbox needs what containers do not give; it is shown nothing but our pages.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}
