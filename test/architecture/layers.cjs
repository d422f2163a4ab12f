// The layers of lib/ as dependency-cruiser rules. `layers.test.ts` runs them, and breaks each one on purpose.
const { exports: entries, bin } = require('../../package.json');

/** Bottom to top. A folder imports only rows below its own. */
const rows = [
  ['clock', 'errors', 'events'],
  ['execution'],
  ['supervision'],
  ['discovery'],
  ['pool'],
  ['workers', 'tasks', 'jobs'],
  ['http', 'integrations', 'testing'],
];
const top = rows.length - 1;
const firstRowWithNest = rows.findIndex((row) => row.includes('discovery'));

/** Per folder of lib/integrations the optional peers that it may import. */
const peersOf = {
  pino: ['nestjs-pino'],
  prometheus: ['@willsoto/nestjs-prometheus', 'prom-client'],
  terminus: ['@nestjs/terminus'],
  opentelemetry: ['@opentelemetry/api'],
  threads: ['piscina'],
  redis: ['ioredis'],
  // It runs on either store.
  bullmq: ['bullmq', 'ioredis', 'pg'],
};

/** The files with a word in their name that says: this one belongs to Nest. */
const nestFile =
  '\\.(module|service|decorator|explorer|controller|guard|filter|pipe|interceptor|dto|tokens)\\.ts$';

const anyOf = (words) => `(?:${words.join('|')})`;
const inside = (folders) => `^lib/${anyOf(folders)}/`;
const npm = (packages) => `node_modules/${anyOf(packages)}/`;
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

const core = rows.slice(0, top).flat();
const optionalPeers = [...new Set(Object.values(peersOf).flat())];

/** lib/index.ts, one index per sub-path, and the command, as package.json says. */
const entryFile = `^${anyOf(
  [...Object.values(entries).map((entry) => entry.import?.default), ...Object.values(bin)]
    .filter(Boolean)
    .map((file) => file.replace('./dist/esm/', 'lib/').replace(/\.js$/, '\\.ts')),
)}$`;

const forbidden = [
  ...rows
    .slice(0, top)
    .map((row, level) =>
      rule(
        'only-downwards',
        'A folder imports only rows below its own.',
        { path: inside(row) },
        { path: inside(rows.slice(level + 1).flat()) },
      ),
    ),
  ...rows.map((row) =>
    rule(
      'no-siblings',
      'Folders of one row know nothing of each other.',
      { path: `^lib/(${anyOf(row)})/` },
      { path: inside(row), pathNot: '^lib/$1/' },
    ),
  ),
  rule(
    'integrations-stand-alone',
    'Each integration is a sub-path that costs its own peer only; they share nothing but what is below.',
    { path: '^lib/integrations/([^/]+)/' },
    { path: '^lib/integrations/', pathNot: '^lib/integrations/$1/' },
  ),
  rule(
    'enter-by-index',
    'A folder may be entered only through its index.ts; the rest of it is its own business.',
    // The command has rules of its own, since most of these load Nest. It has no index: nobody enters it.
    { path: '^lib/([^/]+)(?:/|\\.ts$)', pathNot: '^lib/(?:bin\\.ts$|cli/)' },
    { path: '^lib/[^/]+/.', pathNot: ['^lib/$1/', '^lib/(?:integrations/)?[^/]+/index\\.ts$'] },
  ),
  rule(
    'bin-is-cli',
    'The command is a function that can be tested; the file that is run only calls it.',
    { path: '^lib/bin\\.ts$' },
    { path: '.', pathNot: '^lib/cli/cli\\.ts$' },
  ),
  rule(
    'cli-needs-no-integration',
    'The command is given backends by the files that it is named; those know the peers.',
    { path: '^lib/cli/' },
    { path: inside(['integrations', 'testing']) },
  ),
  rule(
    'bin-needs-no-nest',
    'The command starts at once, and also where nothing else is installed.',
    { path: '^lib/bin\\.ts$' },
    { path: npm(['@nestjs', ...optionalPeers]), reachable: true },
  ),
  rule(
    'not-by-own-index',
    'Inside a folder, files import each other; by its own index a file would import itself.',
    { path: '^lib/((?:integrations/)?[^/]+)/.' },
    { path: '^lib/$1/index\\.ts$' },
  ),
  rule(
    'root-is-a-way-in',
    'The root entry and the command are for users; inside, they would be a cycle.',
    { path: '^lib/' },
    { path: '^lib/(?:index|bin)\\.ts$' },
  ),
  rule(
    'root-stays-light',
    'What costs a peer, an HTTP surface or test-only code has a sub-path of its own.',
    { path: '^lib/index\\.ts$' },
    { path: inside(rows[top]) },
  ),
  rule(
    'root-needs-no-optional-peer',
    'The root must load where no optional peer is installed.',
    { path: '^lib/index\\.ts$' },
    { path: npm(optionalPeers), reachable: true },
  ),
  rule(
    'peer-in-its-integration',
    'An optional peer is imported by the integration that it belongs to, and by nothing else.',
    { path: '^lib/', pathNot: inside(Object.keys(peersOf).map((name) => `integrations/${name}`)) },
    { path: npm(optionalPeers) },
  ),
  ...Object.entries(peersOf).map(([name, peers]) =>
    rule(
      'peer-in-its-integration',
      'An integration imports its own peers, not those of another.',
      { path: inside([`integrations/${name}`]) },
      { path: npm(optionalPeers.filter((peer) => !peers.includes(peer))) },
    ),
  ),
  rule(
    'nest-from-discovery-up',
    'Running and supervising work is plain TypeScript.',
    { path: inside(rows.slice(0, firstRowWithNest).flat()) },
    { path: npm(['@nestjs']) },
  ),
  rule(
    'plain-file-knows-no-nest',
    'Only a file whose name says so (a module, a service, a decorator…) knows the framework.',
    {
      path: ['^lib/index\\.ts$', inside([...rows.slice(firstRowWithNest, top).flat(), 'http'])],
      pathNot: nestFile,
    },
    { path: npm(['@nestjs']) },
  ),
  rule(
    'no-nest-internals',
    'Only the front door of a Nest package is public.',
    { path: '^(?:lib|sample-app)/' },
    { path: npm(['@nestjs']), pathNot: '@nestjs/[^/]+/(?:dist/)?index\\.(?:js|d\\.ts)$' },
  ),
  rule(
    'sample-app-by-name',
    'The sample app imports the package as its users do.',
    { path: '^sample-app/' },
    { path: '^lib/', dependencyTypesNot: ['aliased'] },
  ),
  rule(
    'lib-stands-alone',
    'What is published needs neither the tests nor the sample app.',
    { path: '^lib/' },
    { path: '^(?:test|sample-app)/' },
  ),
  rule(
    'declared-packages-only',
    'Users have only what dependencies and peerDependencies name.',
    { path: '^lib/' },
    { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm', 'npm-peer'] },
  ),
  rule('resolvable', 'An import that resolves to nothing.', { path: '^lib/' }, { couldNotResolve: true }),
  rule(
    'no-cycles',
    'Two files that need each other are one.',
    { path: '^(?:lib|sample-app)/' },
    { circular: true },
  ),
  rule(
    'no-orphans',
    'A file that no entry reaches is dead.',
    { path: entryFile },
    { path: '^lib/', pathNot: entryFile, reachable: false },
  ),
];

module.exports = { forbidden, folders: { rows, core, peersOf } };
