import { describe, expect, it } from 'vitest';
import { resolveHttpOptions } from '../../lib/http/http-options.js';
import { thrownBy } from '../support/nest.js';

class Guard {
  canActivate(): boolean {
    return true;
  }
}
const resolve = (options: object) => resolveHttpOptions(options, 'a test');

describe('resolveHttpOptions', () => {
  it('completes what is left out', () => {
    expect(resolve({ guards: [Guard] })).toEqual({
      guards: [Guard],
      readOnlyGuards: undefined,
      bodyLimit: 1_048_576,
      namespace: undefined,
      dashboard: true,
      title: 'Background work',
      signIn: 'browser',
      showAllToViewers: false,
      allowedOrigins: new Set(),
      actor: undefined,
      onCommand: undefined,
    });
    expect(resolve({ allowUnauthenticated: true }).guards).toEqual([]);
  });

  it('takes undefined for left out', () => {
    const options = { allowUnauthenticated: true, guards: undefined, title: undefined, dashboard: undefined };
    expect(resolve(options)).toMatchObject({ title: 'Background work', dashboard: true });
  });

  it('keeps what is given', () => {
    const actor = (): string => 'me';
    const guard = new Guard();
    const given = {
      guards: [guard],
      readOnlyGuards: [Guard],
      bodyLimit: 1,
      namespace: '{shop}',
      dashboard: false,
      title: 'T',
      signIn: 'token',
      showAllToViewers: true,
      allowedOrigins: ['https://ops.example.com', 'http://localhost:3000'],
      actor,
      onCommand: actor,
    };
    expect(resolve(given)).toEqual({ ...given, allowedOrigins: new Set(given.allowedOrigins) });
  });

  it.each<[string, object]>([
    ['guards', {}],
    ['guards', { allowUnauthenticated: false }],
    ['guards', { guards: [] }],
    ['guards', { guards: [undefined] }],
    ['allowUnauthenticated', { guards: [Guard], allowUnauthenticated: true }],
    ['readOnlyGuards', { allowUnauthenticated: true, readOnlyGuards: [Guard] }],
    ['allowedOrigins', { guards: [Guard], allowedOrigins: ['null'] }],
    ['allowedOrigins', { guards: [Guard], allowedOrigins: ['HTTPS://OPS.example.com'] }],
    ['allowedOrigins', { guards: [Guard], allowedOrigins: ['https://ops.example.com:443'] }],
    ['bodyLimit', { guards: [Guard], bodyLimit: Infinity }],
    ['bodyLimit', { guards: [Guard], bodyLimit: 1.5 }],
    ['nonsense', { guards: [Guard], nonsense: 1 }],
  ])('refuses %s in %o', (option, given) => {
    expect(thrownBy(() => resolve(given))).toMatchObject({ code: 'INVALID_OPTION', option, owner: 'a test' });
  });
});
