// Measuring: contenders take turns, so that a machine that gets slower gets slower for all of them; the first turn warms up.

/** What `ramet bench --json` prints. Null: there is none. */
export interface Figure {
  readonly name: string
  readonly unit: 'ms' | 'bytes'
  readonly median: number
  readonly min: number
  readonly max: number
  readonly n: number
  /** Median of what the work costs at least: the same work, done bare, in the same run. */
  readonly floor: number | null
  /** Median of what others take for it, in the same run. */
  readonly peer: number | null
  /** Of the median to what `limit` speaks of: the peer where there is one, else the floor, else 1. */
  readonly ratio: number | null
  readonly limit: number | null
  /** Null: informative. */
  readonly pass: boolean | null
}

/** What a figure is held against. */
export type Against = {
  readonly floor?: readonly number[]
  readonly peer?: readonly number[]
  /** The most that the ratio may be; or, where there is nothing to compare with, the median. */
  readonly limit?: number
}

export function figure(name: string, unit: Figure['unit'], values: readonly number[], against: Against = {}): Figure {
  const floor = against.floor ? median(against.floor) : null
  const peer = against.peer ? median(against.peer) : null
  const limit = against.limit ?? null
  const middle = median(values)
  const reference = peer ?? floor
  const ratio = reference === null ? null : middle / reference
  const pass = limit === null ? null : (ratio ?? middle) <= limit
  return {
    name,
    unit,
    median: middle,
    min: Math.min(...values),
    max: Math.max(...values),
    n: values.length,
    floor,
    peer,
    ratio,
    limit,
    pass,
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(half) - 1, Math.floor(half) + 1)
  return (low + high) / 2
}

/** Runs all contenders `rounds` times after one round that does not count; who begins changes from round to round. */
export async function inTurns<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, (round: number) => Promise<void>>>,
): Promise<void> {
  const acts = Object.values<(round: number) => Promise<void>>(contenders)
  for (let round = 0; round <= rounds; round += 1) {
    const first = round % acts.length
    for (const act of [...acts.slice(first), ...acts.slice(0, first)]) await act(round)
  }
}

/** Numbers by name, with none of the round that warms up. */
export class Series<Name extends string> {
  readonly #values = new Map<Name, number[]>()

  note(round: number, name: Name, value: number): void {
    if (round > 0) this.#values.set(name, [...this.of(name), value])
  }

  of(name: Name): readonly number[] {
    return this.#values.get(name) ?? []
  }
}

/** Milliseconds that `act` takes. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await act()
  return performance.now() - begin
}
