interface Member {
  isIdle(): boolean;
  /** All are idle, and nobody feeds them any more. */
  onOver(): void;
}

/**
 * Those that may feed one another are done only when all of them are idle at one moment: until then whatever runs
 * in one may still hand something to another.
 */
export class Quiescence {
  readonly #members: Member[] = [];
  #fed = true;
  #over = false;

  /** `feedersEnded`: settles when nobody outside of the members feeds them any more. */
  constructor(feedersEnded: Promise<unknown>) {
    void feedersEnded.then(() => {
      this.#fed = false;
      this.check();
    });
  }

  join(member: Member): void {
    this.#members.push(member);
    if (this.#over) member.onOver();
  }

  /** To be called by a member that has become idle. */
  check(): void {
    if (this.#fed || this.#over || !this.#members.every((member) => member.isIdle())) return;
    this.#over = true;
    this.#members.forEach((member) => member.onOver());
  }
}
