import { Store } from './store.js';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const key = 'nestjs-worker.theme';

/** Light or dark, as chosen here or by the system. */
export class ThemeChoice {
  readonly chosen: Store<Theme>;
  /** Changes whenever colours do, by choice or with the system. */
  readonly shown: Store<'light' | 'dark'>;
  readonly #system = matchMedia('(prefers-color-scheme: dark)');

  constructor() {
    this.chosen = new Store(stored());
    this.shown = new Store(this.#shownNow());
    this.#system.addEventListener('change', () => this.shown.set(this.#shownNow()));
    this.#apply();
  }

  choose(theme: Theme): void {
    this.chosen.set(theme);
    this.#apply();
    try {
      localStorage.setItem(key, theme);
    } catch {
      // Storage may be forbidden; then the choice lasts as long as the page.
    }
  }

  #apply(): void {
    const { dataset } = document.documentElement;
    if (this.chosen.value === 'system') delete dataset['theme'];
    else dataset['theme'] = this.chosen.value;
    this.shown.set(this.#shownNow());
  }

  #shownNow(): 'light' | 'dark' {
    if (this.chosen.value !== 'system') return this.chosen.value;
    return this.#system.matches ? 'dark' : 'light';
  }
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(key);
    return themes.find((theme) => theme === value) ?? 'system';
  } catch {
    return 'system';
  }
}
