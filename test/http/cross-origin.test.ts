import { describe, expect, it } from 'vitest';
import { type Headers, refuseCrossOrigin } from '../../lib/http/cross-origin.js';

const ops = new Set(['https://ops.example.com']);
const check = (headers: Headers, allowed: ReadonlySet<string> = new Set()) =>
  refuseCrossOrigin(headers, allowed);

describe('refuseCrossOrigin', () => {
  it.each<[string, Headers, ReadonlySet<string>?]>([
    ['no browser', {}],
    ['no browser, with a host', { host: 'app.example.com' }],
    ['same-origin', { 'sec-fetch-site': 'same-origin', origin: 'https://elsewhere.example.com' }],
    ['what somebody typed', { 'sec-fetch-site': 'none' }],
    ['its own origin', { origin: 'https://app.example.com', host: 'app.example.com' }],
    [
      'its own origin behind a proxy that ends TLS',
      { origin: 'https://app.example.com', host: 'app.example.com' },
    ],
    ['its own origin with a port', { origin: 'http://localhost:3000', host: 'localhost:3000' }],
    ['its own origin in other letters', { origin: 'http://app.example.com', host: 'App.Example.COM' }],
    ['an allowed origin', { origin: 'https://ops.example.com', host: 'app.example.com' }, ops],
    [
      'an allowed origin that says cross-site',
      { origin: 'https://ops.example.com', 'sec-fetch-site': 'cross-site' },
      ops,
    ],
    [
      'the first of several',
      { origin: ['https://app.example.com', 'https://x.example.com'], host: 'app.example.com' },
    ],
  ])('lets through %s', (_what, headers, allowed) => {
    expect(() => check(headers, allowed)).not.toThrow();
  });

  it.each<[string, Headers, ReadonlySet<string>?]>([
    ['cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['same-site: other hosts of the domain', { 'sec-fetch-site': 'same-site' }],
    ['an unknown word', { 'sec-fetch-site': 'nonsense' }],
    [
      'cross-site, whatever the origin',
      { 'sec-fetch-site': 'cross-site', origin: 'https://a.b', host: 'a.b' },
    ],
    ['another origin', { origin: 'https://evil.example.com', host: 'app.example.com' }],
    ['another port', { origin: 'https://app.example.com:8443', host: 'app.example.com' }],
    ['a longer name', { origin: 'https://app.example.com.evil.com', host: 'app.example.com' }],
    ['the name as a password', { origin: 'https://app.example.com@evil.com', host: 'app.example.com' }],
    ['null', { origin: 'null', host: 'null' }],
    ['nothing', { origin: '', host: 'app.example.com' }],
    ['what is no origin', { origin: 'app.example.com', host: 'app.example.com' }],
    ['no host', { origin: 'https://app.example.com' }],
    [
      'an origin that begins like an allowed one',
      { origin: 'https://ops.example.com.evil.com', host: 'a.b' },
      ops,
    ],
    ['the scheme of an allowed one changed', { origin: 'http://ops.example.com', host: 'a.b' }, ops],
  ])('refuses %s', (_what, headers, allowed) => {
    expect(() => check(headers, allowed)).toThrow(
      expect.objectContaining({ status: 403, code: 'CROSS_ORIGIN' }) as Error,
    );
  });
});
