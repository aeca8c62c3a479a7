// The figures for people.
import type { Figure } from './measure.ts'

const titles = ['BENCHMARK', 'MEDIAN', 'MIN', 'MAX', 'N', 'FLOOR', 'PEER', 'RATIO', 'LIMIT', '']

export function table(figures: readonly Figure[]): string {
  const rows = [titles, ...figures.map(cells)]
  const widths = titles.map((_, column) => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const padded = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)
  return rows.map(row => row.map(padded).join('  ').trimEnd()).join('\n')
}

function cells(figure: Figure): string[] {
  const { name, median, min, max, n, floor, peer, ratio, limit, pass } = figure
  const quantity = (value: number | null) => (value === null ? '' : inUnit(value, figure.unit))
  const bound = limit === null ? '' : ratio === null ? quantity(limit) : `≤ ${round(limit)}`
  const verdict = pass === null ? '' : pass ? 'kept' : 'MISSED'
  return [
    name,
    ...[median, min, max].map(quantity),
    String(n),
    ...[floor, peer].map(quantity),
    ratio === null ? '' : round(ratio),
    bound,
    verdict,
  ]
}

function inUnit(value: number, unit: Figure['unit']): string {
  return unit === 'ms' ? `${value.toFixed(value < 1000 ? 1 : 0)} ms` : `${Math.ceil(value / 1024)} KiB`
}

function round(ratio: number): string {
  return ratio.toFixed(2)
}
