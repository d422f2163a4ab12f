import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { useApp } from '../app.js';
import { clockText } from '../format.js';
import { useStore } from '../hooks.js';
import { plotOptions, type PlotSeries } from './plot-options.js';

interface PlotProps {
  readonly title: string;
  /** In seconds. */
  readonly times: readonly number[];
  readonly series: readonly PlotSeries[];
  /** First and last time that is shown, in seconds. */
  readonly range: [number, number];
  readonly whole: boolean;
  readonly valueText: (value: number) => string;
}

/** Lines or bars over time. What it shows is also there in words, and as a table. */
export function Plot(props: PlotProps): JSX.Element {
  const { title, times, series, valueText } = props;
  const [pointed, setPointed] = useState<number | null>(null);
  const index = pointed !== null && pointed < times.length ? pointed : times.length - 1;
  const at = times[index];
  const place = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLUListElement>(null);
  useDrawn(place, legend, props, setPointed);
  const words = series.map(({ label, values }) => {
    const last = values.at(-1) ?? 0;
    return `${label}: ${valueText(last)} now, ${valueText(Math.max(0, ...values))} at most`;
  });
  return (
    <figure class="plot">
      <figcaption>
        <h2>{title}</h2>
        <ul ref={legend}>
          {series.map(({ label, colour, drawn, values }) => (
            <li key={label}>
              <span class={`swatch swatch-${drawn} tone-${colour}`} />
              {label} <strong>{valueText(values[index] ?? 0)}</strong>
            </li>
          ))}
          <li class="quiet">{pointed === null || at === undefined ? 'now' : clockText(at * 1_000)}</li>
        </ul>
      </figcaption>
      <div ref={place} class="plot-place" role="img" aria-label={`${title}. ${words.join('; ')}.`} />
      <Table {...props} />
    </figure>
  );
}

function useDrawn(
  place: { readonly current: HTMLDivElement | null },
  legend: { readonly current: HTMLUListElement | null },
  props: PlotProps,
  onPoint: (index: number | null) => void,
): void {
  const theme = useStore(useApp().theme.shown);
  const plot = useRef<uPlot>(null);
  const latest = useRef(props);
  latest.current = props;
  const data = (): uPlot.AlignedData => [
    [...latest.current.times],
    ...latest.current.series.map(({ values }) => [...values]),
  ];
  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const style = getComputedStyle(element);
    const swatches = [...(legend.current?.querySelectorAll('.swatch') ?? [])];
    const drawn = new uPlot(
      plotOptions({
        ...props,
        width: element.clientWidth,
        colours: {
          text: style.color,
          grid: style.borderTopColor,
          series: swatches.map((swatch) => getComputedStyle(swatch).color),
        },
        range: () => latest.current.range,
        onPoint,
      }),
      data(),
      element,
    );
    plot.current = drawn;
    const resized = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== drawn.width) drawn.setSize({ width, height: drawn.height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [theme]);
  useEffect(() => plot.current?.setData(data()));
}

function Table({ title, times, series, valueText }: PlotProps): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
      <summary>
        Figures<span class="hidden"> of: {title}</span>
      </summary>
      {open && (
        <div class="figures" tabIndex={0} role="group" aria-label={`Figures of: ${title}`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {series.map(({ label }) => (
                  <th key={label} scope="col" class="numeric">
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((_, back) => {
                const index = times.length - 1 - back;
                const at = times[index] ?? 0;
                return (
                  <tr key={at}>
                    <th scope="row">{clockText(at * 1_000)}</th>
                    {series.map(({ label, values }) => (
                      <td key={label} class="numeric">
                        {valueText(values[index] ?? 0)}
                      </td>
                    ))}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
