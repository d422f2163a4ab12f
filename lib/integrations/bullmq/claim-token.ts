/** What a token says. */
export interface ClaimToken {
  /** What BullMQ has locked the job by. */
  readonly lock: string;
  /** Which claim of the job it is: a lock may be used again for the next job. */
  readonly claim: number;
  /** BullMQ's count of attempts before this one. */
  readonly made: number;
}

export function writeToken({ lock, claim, made }: ClaimToken): string {
  const text = `${lock} ${claim} ${made}`;
  return `${text} ${checkOf(text)}`;
}

/**
 * `undefined` for what nobody was given. BullMQ takes some texts for leave to do anything, and the store does not know
 * any more by what a job was locked whose lock has ended: so a token itself says whether it is one.
 */
export function readToken(token: string): ClaimToken | undefined {
  const end = token.lastIndexOf(' ');
  const text = token.slice(0, Math.max(0, end));
  if (token.slice(end + 1) !== checkOf(text)) return undefined;
  const [lock = '', claim, made] = text.split(' ');
  return { lock, claim: Number(claim), made: Number(made) };
}

/** FNV-1a, 32 bits. */
function checkOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0).toString(36);
}
