// What happened, written down as it happens and by nobody but the chaos code: one file per process, a line per fact.
// Each line is handed to the system before the next step is taken, so that SIGKILL loses none.
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Milliseconds of the machine's monotonic clock: the same in all processes, and no matter what they think of the date. */
export const uptime = () => Number(process.hrtime.bigint()) / 1e6;

export class Ledger {
  #file;
  #who;

  /** `who`: a name of this process that no other one of the scenario has. */
  constructor(folder, who) {
    this.#file = openSync(join(folder, `${who}.jsonl`), 'a');
    this.#who = who;
  }

  write(fact, fields) {
    writeSync(this.#file, `${JSON.stringify({ fact, who: this.#who, at: uptime(), ...fields })}\n`);
  }
}

const tailBytes = 64 * 1_024;

/** The latest facts of one process. */
export function latestFacts(folder, who) {
  const path = join(folder, `${who}.jsonl`);
  if (!existsSync(path)) return [];
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - tailBytes);
    const bytes = Buffer.alloc(size - from);
    const read = readSync(file, bytes, 0, bytes.length, from);
    const lines = bytes.toString('utf8', 0, read).split('\n');
    return lines.slice(from === 0 ? 0 : 1, -1).map((line) => JSON.parse(line));
  } finally {
    closeSync(file);
  }
}

/** All facts of a folder, in the order in which they happened. */
export function readLedger(folder) {
  const facts = [];
  for (const file of readdirSync(folder)) {
    if (!file.endsWith('.jsonl')) continue;
    const lines = readFileSync(join(folder, file), 'utf8').split('\n');
    // A line that was cut off by the end of its process was never finished, and nothing followed it.
    for (const line of lines.slice(0, -1)) facts.push(JSON.parse(line));
  }
  return facts.toSorted((a, b) => a.at - b.at);
}
