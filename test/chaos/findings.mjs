/** What was found broken: each thing once, with how often, and a few examples. */
export class Findings {
  #shown;
  #found = new Map();

  constructor(shown) {
    this.#shown = shown;
  }

  add(what, example) {
    const finding = this.#found.get(what) ?? { what, count: 0, examples: [] };
    this.#found.set(what, finding);
    finding.count++;
    if (finding.examples.length < this.#shown) finding.examples.push(String(example));
  }

  all() {
    return [...this.#found.values()];
  }
}
