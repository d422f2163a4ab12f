// Reads the dashboard's stream and asks for scaling, as many times at once as it is told. Answers what it saw.
import { Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

const { url, streams, questions } = JSON.parse(process.argv[2]);
const agent = new Agent({ keepAlive: true, maxSockets: 100 });
let measuring = false;
const seen = { bytes: 0, events: 0, latencies: [], failed: 0 };

const opened = Array.from(
  { length: streams },
  () =>
    new Promise((resolve, reject) => {
      get(`${url}/events`, (response) => {
        response.once('data', resolve);
        response.on('data', (chunk) => {
          if (!measuring) return;
          seen.bytes += chunk.length;
          seen.events += chunk.toString().split('\n\n').length - 1;
        });
        response.on('error', () => {});
      }).on('error', reject);
    }),
);
await Promise.all(opened);
process.send('ready');

function ask() {
  const askedAt = performance.now();
  get(`${url}/queues/q0/scaling`, { agent }, (response) => {
    response.resume();
    response.on('end', () => {
      if (response.statusCode !== 200) seen.failed++;
      if (measuring) seen.latencies.push(performance.now() - askedAt);
    });
  }).on('error', () => seen.failed++);
}

process.on('message', (message) => {
  if (message === 'measure') return void (measuring = true);
  const latencies = seen.latencies.toSorted((a, b) => a - b);
  const at = (part) => latencies[Math.floor((latencies.length - 1) * part)] ?? 0;
  process.send({
    eventsPerReader: streams === 0 ? 0 : seen.events / streams,
    answers: latencies.length,
    answerP50: at(0.5),
    answerP99: at(0.99),
    failed: seen.failed,
  });
  process.disconnect();
  setTimeout(() => process.exit(0), 100);
});

if (questions > 0) {
  const startedAt = performance.now();
  for (let asked = 0; process.connected; await delay(5)) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * questions);
    for (; asked < due; asked++) ask();
  }
}
