import { cli } from '../../lib/cli/cli.js';

/** What a command did: what it wrote where, and with what it exits. */
export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command `nestjs-worker` in this process. */
export async function runCli(
  argv: readonly string[],
  { cwd = process.cwd(), signal = new AbortController().signal } = {},
): Promise<CliRun> {
  let stdout = '';
  let stderr = '';
  const exitCode = await cli(argv, {
    cwd,
    signal,
    print: (text) => void (stdout += text),
    tell: (text) => void (stderr += text),
  });
  return { exitCode, stdout, stderr };
}
