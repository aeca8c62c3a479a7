// How a test brings a job about, and what its failure must leave (jobs.test.ts).
import type { Lab } from '../testing/lab.ts'
import type { JobBuilder } from './define-job.ts'

export interface Scenario<I = unknown> {
  readonly definition: JobBuilder<I, never>
  readonly arrange: (lab: Lab) => Promise<I>
  /** Steps that this scenario is about; all by default. */
  readonly steps?: readonly string[]
  /**
   * restores: all is as before. again: what was begun cannot be taken back, and the same request finishes it.
   * settles: the machine is where its power is. A function: brings what may be left to the state before.
   */
  readonly failure: 'restores' | 'again' | 'settles' | ((lab: Lab, input: I) => Promise<void>)
}

export function scenario<I>(
  definition: unknown,
  arrange: (lab: Lab) => Promise<I>,
  failure: Scenario<I>['failure'],
): Scenario {
  return { definition: definition as JobBuilder<unknown, never>, arrange, failure: failure as Scenario['failure'] }
}
