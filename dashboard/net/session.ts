const key = 'nestjs-worker.authorization';

/** The value of the Authorization header that somebody entered, for as long as the tab is open. */
export class Session {
  // Storage may be forbidden; then it lasts as long as the page.
  #authorization: string | null = null;

  get authorization(): string | null {
    try {
      return sessionStorage.getItem(key) ?? this.#authorization;
    } catch {
      return this.#authorization;
    }
  }

  signIn(authorization: string): void {
    this.#authorization = authorization;
    try {
      sessionStorage.setItem(key, authorization);
    } catch {
      // Then it is kept here only.
    }
  }

  signOut(): void {
    this.#authorization = null;
    try {
      sessionStorage.removeItem(key);
    } catch {
      // Then it was kept here only.
    }
  }
}
