// Bundles the page of the dashboard into lib/http/dashboard-files.generated.ts, from where the server serves it: users
// have no build step, and nothing is loaded from anywhere else.
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const { outputFiles } = await build({
  entryPoints: { app: here('main.tsx'), style: here('styles/main.css') },
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  charset: 'utf8',
  outdir: 'out',
  entryNames: '[name]',
  write: false,
  logLevel: 'warning',
});

/** The licences of what is bundled ask to be passed on with it. */
async function licence(name) {
  const folder = here(`../node_modules/${name}`);
  const { version } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
  const text = await readFile(`${folder}/LICENSE`, 'utf8');
  return `${name} ${version}\n${text.trim()}`;
}

const licences = `/*!\n${(await Promise.all(['preact', 'uplot'].map(licence))).join('\n\n')}\n*/\n`;
const textOf = (ending) => {
  const file = outputFiles.find(({ path }) => path.endsWith(ending));
  if (file === undefined) throw new Error(`esbuild made no ${ending}`);
  return file.text;
};

const files = {
  'app.js': ['text/javascript; charset=utf-8', licences + textOf('.js')],
  'app.css': ['text/css; charset=utf-8', textOf('.css')],
  'icon.svg': ['image/svg+xml', await readFile(here('icon.svg'), 'utf8')],
};

const entries = Object.entries(files).map(([name, [type, body]]) => {
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 12);
  return `  ${JSON.stringify(name)}: { type: ${JSON.stringify(type)}, hash: ${JSON.stringify(hash)}, body: ${JSON.stringify(body)} },`;
});

await writeFile(
  here('../lib/http/dashboard-files.generated.ts'),
  `// Made by dashboard/build.mjs. Do not edit.
export const dashboardFiles: Readonly<
  Record<string, { readonly type: string; readonly body: string; readonly hash: string }>
> = {
${entries.join('\n')}
};
`,
);

for (const [name, [, body]] of Object.entries(files)) {
  console.log(`${name} ${(Buffer.byteLength(body) / 1_000).toFixed(1)} kB`);
}
