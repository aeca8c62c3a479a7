// What a benchmark is.
import type { BenchServer } from './bench-server.ts'
import type { Figure } from './measure.ts'
import type { Line } from './plot.ts'

export interface Benchmark {
  readonly name: string
  /** One line: what is measured, and against what. */
  readonly about: string
  readonly rounds: number
  /** It brings all it needs; the server with real machines need not be started for it. */
  readonly alone?: true
  /** `clones`: how many at once, where that can be chosen and was. */
  run(server: BenchServer, rounds: number, clones?: number): Promise<Result>
}

export interface Result {
  readonly figures: readonly Figure[]
  /** What a reader must know to believe them; not printed with --json. */
  readonly notes: readonly string[]
  /** To be drawn where `--plot` asks for it. */
  readonly lines?: readonly Line[]
}
