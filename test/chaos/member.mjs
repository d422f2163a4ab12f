// A process of a scenario. It loads everything, says that it is warm, and waits to be told on its stdin who it is to be.
import { createInterface } from 'node:readline';
import { consume } from './consumer.mjs';
import { inspect } from './inspector.mjs';
import { Ledger } from './ledger.mjs';
import { produce } from './producer.mjs';

const roles = { consume, inspect, produce };

const orders = createInterface({ input: process.stdin });
// Whoever started this is gone: nobody else would end it.
orders.on('close', () => process.exit(3));
process.stdout.write('warm\n');

let tell = () => {};
orders.on('line', (line) => {
  const { role, ...order } = JSON.parse(line);
  if (role === undefined) return tell(order);
  // From here on its work alone keeps it alive.
  process.stdin.unref();
  const ledger = new Ledger(order.folder, order.who);
  const say = (word, value) => process.stdout.write(`${word} ${JSON.stringify(value ?? null)}\n`);
  const onTold = (listener) => (tell = listener);
  process.on('uncaughtExceptionMonitor', (error) => ledger.write('crash', { error: String(error?.stack) }));
  void roles[role](order, { ledger, say, onTold });
});
