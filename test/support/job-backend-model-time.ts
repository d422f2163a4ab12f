/** From when on it may be so, and from when on it is. The same where that is known. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** When something was done, by the clock that counts. */
export interface Moment {
  /** Not before that. The same as `at` where it is known when it was. */
  readonly from: number;
  readonly at: number;
  /** What the store lets go of by itself, it may have judged by a time from here on. The same as `from` where it does not. */
  readonly since: number;
}

export const always: Span = { from: -Infinity, to: -Infinity };

export const exactly = (time: number): Span => ({ from: time, to: time });

/** So long after something was done. */
export const after = ({ from, at }: Moment, ms: number): Span => ({ from: from + ms, to: at + ms });

/** Whether a time had come when something was done; `slackMs`: by so much clocks may differ. */
export function hasCome(
  { from, to }: Span,
  { from: earliest, at: latest }: Pick<Moment, 'from' | 'at'>,
  slackMs: number,
): 'yes' | 'no' | 'maybe' {
  if (to + slackMs <= earliest) return 'yes';
  return from - slackMs > latest ? 'no' : 'maybe';
}
