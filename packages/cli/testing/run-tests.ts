// `./ramet test [--all] [FILTER…]`: the checks, then the tests, and one line at the end that says how it went. A filter is a
// part of a test file's path, or the name of a check.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { UsageError } from '../explain.ts'
import { checks, complaintOf } from './checks.ts'
import { chooseFiles, findTestFiles, inFolder, isSlow } from './choose-files.ts'
import { createReport, type Report } from './test-reporter.ts'

/** For one file: a hang should not take all day. The slow ones are there to take long. */
const longestFileMs = 20 * 60_000
const longestSlowFileMs = 6 * 60 * 60_000
const mostAtOnce = 4
const mostGuestsAtOnce = 2

export async function runTests(args: string[], root = join(import.meta.dirname, '../../..')): Promise<number> {
  const { all, filters } = parse(args)
  const chosenChecks = checks.filter(({ name }) => filters.length === 0 || filters.includes(name))
  const { light, heavy, slow } = chooseFiles(await findTestFiles(root), filters, all)
  if (chosenChecks.length + light.length + heavy.length === 0) {
    throw new UsageError(
      `No test file's path has ${filters.join(' or ')} in it${slow > 0 ? `, but for ${slow} slow: add --all` : ''}`,
    )
  }
  const report = createReport(root, line => process.stdout.write(`${line}\n`))
  for (const check of chosenChecks) {
    const start = performance.now()
    report.checked(check.name, await complaintOf(check, root), performance.now() - start)
  }
  await runFiles(inFolder(root, light), Math.min(mostAtOnce, availableParallelism()), root, report)
  await runFiles(inFolder(root, heavy), Math.min(mostGuestsAtOnce, availableParallelism()), root, report)
  return report.conclude()
}

function parse(args: readonly string[]): { all: boolean; filters: string[] } {
  const wrong = args.find(word => word.startsWith('-') && word !== '--all')
  if (wrong !== undefined)
    throw new UsageError(`./ramet test has no option ${wrong}; it has --all, and parts of file names`)
  return { all: args.includes('--all'), filters: args.filter(word => word !== '--all') }
}

/** Each file in a process of its own. */
async function runFiles(files: string[], concurrency: number, cwd: string, report: Report): Promise<void> {
  if (files.length === 0) return
  const timeout = files.some(isSlow) ? longestSlowFileMs : longestFileMs
  for await (const event of run({ files, concurrency, cwd, timeout })) report.hear(event)
}
