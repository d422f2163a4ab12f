import { execFile } from 'node:child_process';

// A project of a user does not run inside our npm script or our vitest.
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^(?:npm_(?:package|lifecycle|config_local_prefix|command)|INIT_CWD|VITEST|TEST$|NODE_ENV|NODE_OPTIONS)/.test(
        name,
      ),
  ),
);

/** Runs a command in `cwd`; answers what it wrote to stdout, and rejects with all that it wrote. */
export function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error)
        reject(new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error }));
      else resolve(stdout);
    });
  });
}
