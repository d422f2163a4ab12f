import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { CommandDesk } from './commands/command-desk.js';
import type { ChangeDocument, CommandDocument, OverviewDocument } from './documents.js';
import { Api } from './net/api.js';
import { EventStream, type StreamState } from './net/event-stream.js';
import type { ServerSentEvent } from './net/event-stream-parser.js';
import { Session } from './net/session.js';
import { type Filter, hrefOf, type Place, placeOf } from './routes.js';
import { changed, dataOf, type LiveData, withCommands } from './state/live-data.js';
import { Store } from './state/store.js';
import { ThemeChoice } from './state/theme.js';
import { Ticker } from './state/ticker.js';

/** How people sign in: by what the browser sends by itself (a cookie, basic authentication), or by a header value. */
export type SignIn = 'browser' | 'token';

/** All that the page holds, and what connects it. */
export class App {
  readonly signIn: SignIn;
  readonly place = new Store<Place>(placeOf(location.hash));
  /** `null`: nothing has been heard yet. */
  readonly data = new Store<LiveData | null>(null);
  readonly commands = new Store<readonly CommandDocument[]>([]);
  readonly connection = new Store<StreamState>({ state: 'connecting' });
  /** Why a header value is asked for; empty: there is none yet. `null`: it is not asked for. */
  readonly tokenWanted = new Store<string | null>(null);
  readonly theme = new ThemeChoice();
  readonly ticker = new Ticker();
  readonly desk = new CommandDesk();
  readonly api: Api;
  readonly #session = new Session();
  readonly #stream: EventStream;

  /** `base`: where the API is. */
  constructor(base: URL, signIn: SignIn) {
    this.signIn = signIn;
    this.api = new Api({
      base,
      authorization: () => (signIn === 'token' ? this.#session.authorization : null),
      onUnauthorized: (error) => this.#refused(401, error),
    });
    this.#stream = new EventStream({
      url: this.api.url('events'),
      headers: () => this.api.headers(),
      onEvent: (event) => this.#heard(event),
      onState: (state) => {
        if (state.state === 'refused') this.#refused(state.status, state.error);
        else this.connection.set(state);
      },
    });
    addEventListener('hashchange', () => this.place.set(placeOf(location.hash)));
    addEventListener('online', () => this.#stream.hurry());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#stream.hurry();
    });
    addEventListener('pagehide', () => this.#stream.stop());
    addEventListener('pageshow', (event) => {
      if (event.persisted && this.tokenWanted.value === null) this.#stream.start();
    });
  }

  start(): void {
    if (this.signIn === 'token' && this.#session.authorization === null) this.tokenWanted.set('');
    else this.#stream.start();
  }

  /** With the value of an Authorization header. */
  signInWith(authorization: string): void {
    this.#session.signIn(authorization);
    this.tokenWanted.set(null);
    this.#stream.start();
  }

  signOut(reason = ''): void {
    this.#session.signOut();
    this.#stream.stop();
    this.data.set(null);
    this.commands.set([]);
    this.tokenWanted.set(reason);
  }

  /** Narrows the list that is shown down. */
  filter(filter: Filter): void {
    const { route } = this.place.value;
    this.place.set({ route, filter });
    try {
      // Not a step that the back button should undo letter by letter.
      history.replaceState(null, '', hrefOf(route, filter));
    } catch {
      // Some browsers refuse it to those who type very fast.
    }
  }

  #refused(status: number, error: string): void {
    if (this.signIn === 'token' && status === 401) {
      this.signOut(error);
      return;
    }
    this.#stream.stop();
    this.connection.set({ state: 'refused', status, error });
  }

  #heard({ event, data }: ServerSentEvent): void {
    const document: unknown = JSON.parse(data);
    switch (event) {
      case 'overview':
        this.data.set(this.#timed(dataOf(document as OverviewDocument, Date.now())));
        break;
      case 'change': {
        const before = this.data.value;
        if (before !== null)
          this.data.set(this.#timed(changed(before, document as ChangeDocument, Date.now())));
        break;
      }
      case 'command':
        this.commands.update((commands) => withCommands(commands, [document as CommandDocument]));
        break;
    }
  }

  #timed(data: LiveData): LiveData {
    this.ticker.aheadMs = data.aheadMs;
    return data;
  }
}

const AppContext = createContext<App | null>(null);
export const AppProvider = AppContext.Provider;

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error('There is no app around this.');
  return app;
}
