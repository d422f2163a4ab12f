/** Something that can say, once, that waiting is over before its time. */
export interface Interruptible {
  readonly aborted: boolean;
  /** Calls `listener` when that happens; answers a function that takes the listener off again. */
  onAbort(listener: () => void): () => void;
}
