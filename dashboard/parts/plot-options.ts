import uPlot from 'uplot';
import { clockText } from '../format.js';

export interface PlotSeries {
  readonly label: string;
  /** Of the custom colours of the page. */
  readonly colour: 'accent' | 'bad' | 'warning';
  readonly drawn: 'bars' | 'area' | 'line';
  readonly values: readonly number[];
}

/** Colours as the style sheet has them at this moment. */
export interface PlotColours {
  readonly text: string;
  readonly grid: string;
  readonly series: readonly string[];
}

export interface PlotFrame {
  readonly width: number;
  readonly colours: PlotColours;
  readonly series: readonly PlotSeries[];
  /** Whole numbers only. */
  readonly whole: boolean;
  readonly valueText: (value: number) => string;
  /** First and last time that is shown, in seconds. */
  readonly range: () => [number, number];
  readonly onPoint: (index: number | null) => void;
}

const height = 150;
const minutes = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export function plotOptions(frame: PlotFrame): uPlot.Options {
  const { width, colours, series, whole, valueText, range, onPoint } = frame;
  const axis: uPlot.Axis = {
    stroke: colours.text,
    grid: { stroke: colours.grid, width: 1 },
    ticks: { stroke: colours.grid, width: 1, size: 4 },
    font: '11px Arial, "Liberation Sans", sans-serif',
  };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    padding: [8, 26, 0, 0],
    scales: {
      x: { time: true, range },
      y: { range: (_plot, _min, max) => [0, Math.max(whole ? 4 : 1, (max ?? 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        size: 28,
        space: 72,
        values: (_plot, splits) => splits.map((at) => minutes.format(at * 1_000)),
      },
      {
        ...axis,
        size: 76,
        space: 28,
        values: (_plot, splits) => splits.map(valueText),
        incrs: whole ? wholeSteps : timeSteps,
      },
    ],
    series: [
      { value: (_plot, at) => clockText(at * 1_000) },
      ...series.map((one, index) => seriesOptions(one, colours.series[index] ?? colours.text)),
    ],
    hooks: { setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)] },
  };
}

/** Seconds, minutes, hours and days that people count in. */
const timeSteps = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400,
  604_800,
];

const wholeSteps = Array.from({ length: 12 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat();

function seriesOptions({ label, drawn }: PlotSeries, colour: string): uPlot.Series {
  const base: uPlot.Series = { label, stroke: colour, width: 1.5, points: { show: false } };
  switch (drawn) {
    case 'bars': {
      const bars = uPlot.paths.bars?.({ size: [0.7, 24], align: 0 });
      return { ...base, width: 0, fill: colour, ...(bars !== undefined && { paths: bars }) };
    }
    case 'area':
      return { ...base, fill: faint(colour) };
    case 'line':
      // Dashed, so that it is told apart without colours.
      return { ...base, width: 2, dash: [5, 3] };
  }
}

/** `rgb(…)`, mostly seen through. */
function faint(colour: string): string {
  return colour.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.16)');
}
