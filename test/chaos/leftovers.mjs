// What a run would leave behind if it ended now, on Ctrl-C as well: processes and folders.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const children = new Set();
const folders = new Set();

export function own(child) {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

export function makeFolder(name) {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  folders.delete(folder);
}

/** It is for somebody to look at. */
export const keepFolder = (folder) => folders.delete(folder);

/** Each process is ended by its own id; one that is stopped dies of it as well. */
export function clearUp() {
  for (const child of children)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  for (const folder of folders) removeFolder(folder);
}
