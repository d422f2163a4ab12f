import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useApp } from '../app.js';

/** Asks for the value of an Authorization header. `reason`: what the server said to the one before; may be empty. */
export function SignInPage({ reason }: { reason: string }): JSX.Element {
  const app = useApp();
  const input = useRef<HTMLInputElement>(null);
  const [refused, setRefused] = useState('');
  useEffect(() => input.current?.focus(), []);
  const said = refused === '' ? reason : refused;
  return (
    <main id="main" class="alone">
      <h1>Sign in</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          const value = input.current?.value.trim() ?? '';
          const wrong = problemOf(value);
          setRefused(wrong);
          if (wrong === '') app.signInWith(value);
          else input.current?.focus();
        }}
      >
        <label for="authorization">Authorization header</label>
        <input
          id="authorization"
          ref={input}
          type="password"
          autocomplete="off"
          spellcheck={false}
          aria-describedby="authorization-hint authorization-error"
          aria-invalid={said !== ''}
        />
        <p id="authorization-hint" class="quiet">
          As it is sent, such as <code>Bearer eyJhbGci…</code>. It is kept until you sign out or close this
          tab.
        </p>
        <p id="authorization-error" class="error-text" role="alert">
          {said}
        </p>
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
    </main>
  );
}

function problemOf(value: string): string {
  if (value === '') return 'Please enter a value.';
  try {
    const headers = new Headers({ authorization: value });
    return headers.get('authorization') === value ? '' : 'This cannot be sent in a header.';
  } catch {
    return 'This has characters that no header may have.';
  }
}
