// A table without lines, no wider than the terminal. Widths are of what is seen: wide letters count twice.
import Table from 'cli-table3'
import { isFilled, isNested } from './columns.ts'

const gap = 2
const narrowest = 8

export function table(
  columns: readonly string[],
  rows: readonly Readonly<Record<string, unknown>>[],
  width: number,
): string {
  const cells = rows.map(row => columns.map(name => oneLine(cellText(row[name]))))
  const head = columns.map(name => name.toUpperCase())
  const wanted = columns.map((_, index) => Math.max(...[head, ...cells].map(line => (line[index] ?? '').length)) + gap)
  const ids = columns.flatMap((name, index) => (/id$/.test(name) ? [index] : [])) // a part of an id is of no use
  const drawn = new Table({
    chars: noLines,
    style: { 'padding-left': 0, 'padding-right': gap, head: [], border: [], compact: true },
    colWidths: fit(wanted, width, new Set(ids)),
  })
  drawn.push(head, ...cells)
  return drawn.toString().replace(/ +$/gm, '')
}

/** What a machine's user wrote must not move the cursor of whoever lists it. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
}

export function cellText(value: unknown): string {
  if (!isFilled(value)) return ''
  return isNested(value) ? JSON.stringify(value) : String(value)
}

/** Takes from the widest column until all fit, or none can give any more; those in `whole` give nothing. */
export function fit(widths: readonly number[], total: number, whole: ReadonlySet<number> = new Set()): number[] {
  const fitted = [...widths]
  const widestOf = () => Math.max(0, ...fitted.filter((_, index) => !whole.has(index)))
  const sum = () => fitted.reduce((a, b) => a + b, 0)
  while (sum() > total && widestOf() > narrowest) {
    const widest = fitted.findIndex((each, index) => each === widestOf() && !whole.has(index))
    fitted[widest] = (fitted[widest] ?? 0) - 1
  }
  return fitted
}

const noLines = Object.fromEntries(
  'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle'
    .split(' ')
    .map(name => [name, '']),
)
