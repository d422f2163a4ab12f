import type { JSX } from 'preact';
import type { ErrorDocument } from '../documents.js';
import { useOperator } from '../hooks.js';
import { Nothing } from './times.js';

/** The error of a row, in short. */
export function ErrorLine({ error }: { error: ErrorDocument | null }): JSX.Element {
  if (error === null) return <Nothing />;
  const text = titleOf(error);
  return (
    <span class="error-line" title={text}>
      {text}
    </span>
  );
}

/** An error with all that is known of it. */
export function ErrorBlock({ error }: { error: ErrorDocument }): JSX.Element {
  const operator = useOperator();
  return (
    <div class="error-block">
      <p>
        <strong>{error.name}</strong>
        {error.code !== undefined && <code> {error.code}</code>}: {error.message}
      </p>
      {error.causes?.map((cause, index) => (
        <p key={index}>Caused by: {cause}</p>
      ))}
      {error.stack !== undefined && (
        <details>
          <summary>Stack</summary>
          <pre tabIndex={0} role="group" aria-label="Stack">
            {error.stack}
          </pre>
        </details>
      )}
      {error.stack === undefined && !operator && (
        <p class="quiet">Its stack is hidden from read-only users.</p>
      )}
    </div>
  );
}

function titleOf({ name, code, message }: ErrorDocument): string {
  return `${name}${code === undefined ? '' : ` ${code}`}: ${message}`;
}
