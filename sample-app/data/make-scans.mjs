// Makes a day of parcel scans as the hand scanners of depots report them, always the same:
//   node sample-app/data/make-scans.mjs > sample-app/data/scans-2026-11-20.jsonl
const depots = ['BER', 'BRE', 'CGN', 'DRS', 'FRA', 'HAM', 'HAJ', 'LEJ', 'MUC', 'NUE', 'STR'];
const hubs = ['CGN', 'LEJ', 'FRA'];
const day = Date.parse('2026-11-20T00:00:00Z');
const minute = 60_000;

// mulberry32: a small generator of pseudo-random numbers from 0 up to 1.
let state = 20261120;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const between = (low, high) => Math.floor(low + random() * (high - low));
const pick = (list) => list[between(0, list.length)];

/** SSCC: 17 digits and the check digit of GS1. */
function parcelNumber() {
  const digits = `0034043416${String(between(0, 10_000_000)).padStart(7, '0')}`;
  const sum = digits
    .split('')
    .reduce((total, digit, index) => total + Number(digit) * (index % 2 === 0 ? 3 : 1), 0);
  return `${digits}${(10 - (sum % 10)) % 10}`;
}

/** What happens to a parcel, and how many minutes after what happened before. */
function* journey() {
  const [from, hub, to] = [pick(depots), pick(hubs), pick(depots)];
  yield { event: 'accepted', depot: from, after: between(0, 600), grams: between(40, 31_500) };
  yield { event: 'departed', depot: from, after: between(20, 90) };
  yield { event: 'sorted', depot: hub, after: between(90, 300) };
  yield { event: 'departed', depot: hub, after: between(10, 60) };
  yield { event: 'arrived', depot: to, after: between(90, 300) };
  yield { event: 'out-for-delivery', depot: to, after: between(15, 120) };
  if (random() < 0.12) yield { event: 'not-home', depot: to, after: between(10, 240) };
  yield { event: 'delivered', depot: to, after: between(10, 300) };
}

/** What goes wrong between a scanner and a file. */
function damaged(line) {
  switch (between(0, 4)) {
    case 0: // the connection broke
      return line.slice(0, between(10, line.length - 1));
    case 1: // a scanner that lost its clock
      return line.replace(/"at":"[^"]*"/, '"at":"1970-01-01T00:04:11.000Z"');
    case 2: // a label that could not be read
      return line.replace(/"parcel":"\d*"/, '"parcel":"?"');
    default: // a firmware that knows an event which we do not
      return line.replace(/"event":"[^"]*"/, '"event":"x-107"');
  }
}

const scans = [];
for (let parcel = 0; parcel < 600; parcel++) {
  const number = parcelNumber();
  let at = day;
  for (const { after, depot, ...what } of journey()) {
    at += after * minute + between(0, minute);
    if (at >= day + 24 * 60 * minute) break;
    const scanner = `${depot}-${String(between(1, 25)).padStart(2, '0')}`;
    scans.push({ at: new Date(at).toISOString(), parcel: number, depot, scanner, ...what });
  }
}
scans.sort((a, b) => (a.at < b.at ? -1 : 1));

for (const scan of scans) {
  const line = JSON.stringify(scan);
  process.stdout.write(`${random() < 0.01 ? damaged(line) : line}\n`);
}
