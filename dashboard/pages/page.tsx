import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { useLive } from '../hooks.js';

interface PageProps {
  readonly title: string;
  /** What it is a part of: links that lead up. */
  readonly path?: readonly { readonly text: string; readonly href: string }[];
  /** Beside the title: how it stands. */
  readonly states?: ComponentChildren;
  readonly buttons?: ComponentChildren;
  readonly children: ComponentChildren;
}

let first = true;

/** A page with its heading. On coming to it, the focus goes there, as it does when a document is loaded. */
export function Page({ title, path = [], states, buttons, children }: PageProps): JSX.Element {
  const appTitle = useLive((data) => data.title) ?? 'Workers';
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – ${appTitle}`;
  }, [title, appTitle]);
  useEffect(() => {
    if (!first) {
      heading.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    first = false;
  }, []);
  return (
    <main id="main">
      {path.length > 0 && (
        <nav class="path" aria-label="Where this is">
          {path.map(({ text, href }) => (
            <span key={href}>
              <a href={href}>{text}</a> <span aria-hidden="true">›</span>{' '}
            </span>
          ))}
        </nav>
      )}
      <div class="page-head">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <div class="states">{states}</div>
        <div class="buttons">{buttons}</div>
      </div>
      {children}
    </main>
  );
}
