import { dashboardFiles } from './dashboard-files.generated.js';
import type { ResolvedHttpOptions } from './http-options.js';

/** The page runs what comes with this package, talks to where it came from, and is shown in no frame. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
};

/** The page itself, which holds no data. `base`: what its files are below, as seen from it. */
export function dashboardPage(base: string, { title, signIn }: ResolvedHttpOptions): string {
  const file = (name: string): string =>
    escaped(`${encodeURI(base)}/assets/${name}?v=${dashboardFiles[name]?.hash ?? ''}`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<link rel="icon" type="image/svg+xml" href="${file('icon.svg')}">
<link rel="stylesheet" href="${file('app.css')}">
<script type="module" src="${file('app.js')}"></script>
</head>
<body>
<div id="app" data-sign-in="${signIn}"></div>
<noscript>This page needs JavaScript. What it shows is also at /overview below it, as JSON.</noscript>
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => entities[character]!);
}
