import type { JSX } from 'preact';
import { type Status, type Tone, toneOfStatus } from '../state/tone.js';

/** Shapes, so that nobody has to tell colours apart. */
const shapes: Readonly<Record<Tone, JSX.Element>> = {
  bad: <path d="M2 2h8v8H2z" />,
  warning: <path d="M6 1.2 11.2 10.6H.8z" />,
  busy: <path d="M6 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8m0 2a2 2 0 1 0 0 4 2 2 0 0 0 0-4" />,
  good: <circle cx="6" cy="6" r="4.4" />,
  idle: <path d="M1.5 5h9v2h-9z" />,
};

/** A word with a mark before it. */
export function Mark({ tone, text, title }: { tone: Tone; text: string; title?: string }): JSX.Element {
  return (
    <span class={`status tone-${tone}`} title={title ?? ''}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        {shapes[tone]}
      </svg>
      <span>{text}</span>
    </span>
  );
}

export function StatusMark({ status }: { status: Status }): JSX.Element {
  return <Mark tone={toneOfStatus(status)} text={status} />;
}

/** A remark beside a status. */
export function Chip({ tone, children }: { tone: Tone; children: string }): JSX.Element {
  return <span class={`chip tone-${tone}`}>{children}</span>;
}
