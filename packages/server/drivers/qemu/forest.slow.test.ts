// Many random histories (forest-history.ts), in three minutes on a quiet machine. Histories that failed once stay as cases.
import { test } from 'node:test'
import fc from 'fast-check'
import { failedOnce } from './forest-cases.ts'
import { aHistory, ForestLab } from './forest-history.ts'

test('200 random histories of 30 steps: every layer shows what it should after each step', async () => {
  const lab = await ForestLab.open()
  try {
    await fc.assert(
      fc.asyncProperty(aHistory, history => lab.run(history)),
      { numRuns: 200, endOnFailure: true, examples: failedOnce },
    )
  } finally {
    await lab.close()
  }
})
