import { execFile } from 'node:child_process';

/** What npm scripts and vitest tell the processes that they start; a user's project is not one of those. */
const ours =
  /^(?:npm_(?:package|lifecycle|command|config_local_prefix)|INIT_CWD|VITEST|TEST$|NODE_ENV|NODE_OPTIONS)/;
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));

/** Runs a command in `cwd`; answers what it wrote to stdout, and rejects with all that it wrote. */
export function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`));
    });
  });
}
