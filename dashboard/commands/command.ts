/** Something that an operator may have done, once it is confirmed. */
export interface Command {
  /** What it is about: while one is under way, no other about the same can be given. */
  readonly target: string;
  /** On its button. */
  readonly label: string;
  /** The question, such as `Restart worker “mailer”?` */
  readonly question: string;
  /** What will happen. */
  readonly explanation: string;
  /** It cannot be undone. */
  readonly destructive: boolean;
  /** Said while it is under way. */
  readonly doing: string;
  readonly done: (answer: unknown) => string;
  readonly run: () => Promise<unknown>;
}
