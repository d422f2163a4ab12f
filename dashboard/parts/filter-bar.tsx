import type { JSX } from 'preact';
import { useApp } from '../app.js';
import { countText, pluralText } from '../format.js';
import { useStore } from '../hooks.js';
import { trouble } from '../state/filtering.js';

interface FilterBarProps {
  /** Of one of them, such as `worker`. */
  readonly noun: string;
  readonly total: number;
  readonly shown: number;
  readonly troubled: number;
  readonly statuses: readonly (readonly [status: string, count: number])[];
}

/** Narrows the list below it down. What it is set to is part of the address. */
export function FilterBar({ noun, total, shown, troubled, statuses }: FilterBarProps): JSX.Element {
  const app = useApp();
  const filter = useStore(app.place, (place) => place.filter);
  const known = statuses.some(([status]) => status === filter.status);
  return (
    <search class="filter-bar">
      <label>
        <span class="hidden">Name or error</span>
        <input
          type="search"
          placeholder="Name or error"
          value={filter.text}
          onInput={({ currentTarget }) => app.filter({ ...filter, text: currentTarget.value })}
        />
      </label>
      <label>
        <span class="hidden">Status</span>
        <select
          value={filter.status}
          onChange={({ currentTarget }) => app.filter({ ...filter, status: currentTarget.value })}
        >
          <option value="">Every status</option>
          <option value={trouble}>In trouble ({countText(troubled)})</option>
          {statuses.map(([status, count]) => (
            <option key={status} value={status}>
              {status} ({countText(count)})
            </option>
          ))}
          {!known && filter.status !== '' && filter.status !== trouble && (
            <option value={filter.status}>{filter.status} (0)</option>
          )}
        </select>
      </label>
      <p role="status">
        {shown === total ? pluralText(total, noun) : `${countText(shown)} of ${pluralText(total, noun)}`}
      </p>
      {shown < total && (
        <button type="button" class="plain" onClick={() => app.filter({ text: '', status: '' })}>
          Show all
        </button>
      )}
    </search>
  );
}
