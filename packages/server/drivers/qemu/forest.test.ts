// A few random histories; forest.slow.test.ts runs many.
import { test } from 'node:test'
import fc from 'fast-check'
import { failedOnce } from './forest-cases.ts'
import { aHistory, ForestLab } from './forest-history.ts'

test('whatever is written, snapshotted, reverted, cloned and deleted: every layer shows what it should', async () => {
  const lab = await ForestLab.open()
  try {
    await fc.assert(
      fc.asyncProperty(aHistory, history => lab.run(history)),
      { numRuns: 15, endOnFailure: true, examples: failedOnce },
    )
  } finally {
    await lab.close()
  }
})
