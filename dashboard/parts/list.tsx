import { Component, type ComponentChildren, type JSX } from 'preact';
import { useLayoutEffect } from 'preact/hooks';

export interface Column<Item> {
  readonly key: string;
  readonly label: string;
  /** Numbers stand to the right. */
  readonly numeric?: boolean;
  /** Names the row. */
  readonly heading?: boolean;
  readonly cell: (item: Item) => ComponentChildren;
}

interface ListProps<Item> {
  /** What it is a list of, for those who cannot see what is around it. */
  readonly label: string;
  /** The same object each time: rows are drawn again when it changes. */
  readonly columns: readonly Column<Item>[];
  readonly items: readonly Item[];
  readonly keyOf: (item: Item) => string;
  readonly class?: string;
}

/**
 * A table of which only those rows are drawn again whose item is another object. On a narrow screen its rows are cards;
 * roles are said aloud because tables laid out otherwise lose theirs.
 */
export function List<Item>(props: ListProps<Item>): JSX.Element {
  const { label, columns, items, keyOf } = props;
  useKeptFocus();
  return (
    <div class={`list ${props.class ?? ''}`}>
      <table role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <th key={column.key} role="columnheader" scope="col" class={classOf(column)}>
                {column.label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {items.map((item) => (
            <Row key={keyOf(item)} item={item} columns={columns} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps<Item> {
  readonly item: Item;
  readonly columns: readonly Column<Item>[];
}

class Row<Item> extends Component<RowProps<Item>> {
  override shouldComponentUpdate(next: RowProps<Item>): boolean {
    return next.item !== this.props.item || next.columns !== this.props.columns;
  }

  override render({ item, columns }: RowProps<Item>): JSX.Element {
    return (
      <tr role="row">
        {columns.map((column) =>
          column.heading === true ? (
            <th
              key={column.key}
              role="rowheader"
              scope="row"
              class={classOf(column)}
              data-label={column.label}
            >
              {column.cell(item)}
            </th>
          ) : (
            <td key={column.key} role="cell" class={classOf(column)} data-label={column.label}>
              {column.cell(item)}
            </td>
          ),
        )}
      </tr>
    );
  }
}

function classOf<Item>({ key, numeric }: Column<Item>): string {
  return numeric === true ? `column-${key} numeric` : `column-${key}`;
}

// A row that moves up because it is in trouble would lose the focus on its way.
function useKeptFocus(): void {
  const focused = document.activeElement;
  useLayoutEffect(() => {
    if (focused === document.activeElement || !(focused instanceof HTMLElement)) return;
    if (focused.isConnected && document.activeElement === document.body)
      focused.focus({ preventScroll: true });
  });
}
