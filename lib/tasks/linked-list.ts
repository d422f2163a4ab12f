/** What may be in a list: it holds its neighbours itself. */
export interface Linked<Node> {
  previous: Node | undefined;
  next: Node | undefined;
}

/**
 * First come, first served. The links are in the nodes, so that one can be taken out of the middle at no cost and
 * the list takes no room. A node is in one list at most.
 */
export class LinkedList<Node extends Linked<Node>> {
  #first: Node | undefined;
  #last: Node | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): Node | undefined {
    return this.#first;
  }

  push(node: Node): void {
    node.previous = this.#last;
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#length++;
  }

  shift(): Node | undefined {
    const node = this.#first;
    if (node !== undefined) this.remove(node);
    return node;
  }

  remove(node: Node): void {
    const { previous, next } = node;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    node.previous = undefined;
    node.next = undefined;
    this.#length--;
  }

  *[Symbol.iterator](): Iterator<Node> {
    for (let node = this.#first; node !== undefined; node = node.next) yield node;
  }
}
