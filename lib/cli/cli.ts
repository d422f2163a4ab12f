import { parseArgs } from 'node:util';
import { toErrorInfo } from '../events/index.js';
import { type Command, type Flags, type Terminal, UsageError } from './command.js';
import { drainCommand } from './drain-command.js';
import { scaledObjectCommand } from './scaled-object-command.js';

const commands: Readonly<Record<string, Command>> = {
  drain: drainCommand,
  'scaled-object': scaledObjectCommand,
};

const usageOfAll = Object.values(commands)
  .map(({ usage }) => usage)
  .join('\n');

/** Somebody has made a mistake. */
const refused = 2;

/** Runs the command `nestjs-worker`, and answers with what to exit. `argv`: what follows its name. Rejects for nothing. */
export async function cli(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...args] = argv;
  if (name === '--help' || name === '-h') {
    terminal.print(usageOfAll);
    return 0;
  }
  const command = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const why = name === undefined ? '' : `There is no command ${JSON.stringify(name)}.\n\n`;
    terminal.tell(why + usageOfAll);
    return refused;
  }
  try {
    const flags = flagsIn(command, args);
    // Somebody who asked for it has not made a mistake.
    if (flags['help'] !== true) return await command.run(flags, terminal);
    terminal.print(command.usage);
    return 0;
  } catch (error) {
    const { message } = toErrorInfo(error);
    terminal.tell(error instanceof UsageError ? `${message}\n\n${command.usage}` : `${message}\n`);
    return error instanceof UsageError ? refused : 1;
  }
}

function flagsIn({ flags }: Command, args: readonly string[]): Flags {
  try {
    const options = { help: { type: 'boolean', short: 'h' }, ...flags } as const;
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(toErrorInfo(error).message, { cause: error });
  }
}
