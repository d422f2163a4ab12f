import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { useApp } from '../app.js';
import { dateTimeText, nothing, relativeText, sinceText, untilText } from '../format.js';

/** A text that runs: the ticker writes it, and nothing is drawn for it. */
export function Running({ textAt }: { textAt: (now: number) => string }): JSX.Element {
  const { ticker } = useApp();
  const element = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    if (element.current === null) return undefined;
    return ticker.write(element.current, textAt);
  }, [ticker, textAt]);
  return <span ref={element} />;
}

function Timed({ at, text }: { at: string; text: (at: string, now: number) => string }): JSX.Element {
  const { ticker } = useApp();
  const element = useRef<HTMLTimeElement>(null);
  useLayoutEffect(() => {
    if (element.current === null) return undefined;
    return ticker.write(element.current, (now) => text(at, now));
  }, [ticker, at, text]);
  return <time ref={element} dateTime={at} title={dateTimeText(at)} />;
}

interface MaybeTime {
  at: string | null;
}

/** `3 min 20 s ago`, `in 5 s`. */
export function Ago({ at }: MaybeTime): JSX.Element {
  return at === null ? <Nothing /> : <Timed at={at} text={relativeText} />;
}

/** `3 min 20 s`, and counting. */
export function Since({ at }: MaybeTime): JSX.Element {
  return at === null ? <Nothing /> : <Timed at={at} text={sinceText} />;
}

/** `5 s`, and counting down. */
export function Until({ at }: MaybeTime): JSX.Element {
  return at === null ? <Nothing /> : <Timed at={at} text={untilText} />;
}

export function Nothing(): JSX.Element {
  return <span class="quiet">{nothing}</span>;
}
