// Tells how the tests went: a line for each file, the errors of those that failed, the reasons of those that were skipped, and
// at the very end the counts that people and machines read.
import { relative } from 'node:path'
import { inspect } from 'node:util'
import type { TestEvent } from 'node:test/reporters'

export interface Report {
  readonly checked: (name: string, complaint: string | null, ms: number) => void
  readonly hear: (event: TestEvent) => void
  /** Prints the last line; the exit code. */
  readonly conclude: () => number
}

type Ended = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>

export function createReport(root: string, print: (line: string) => void): Report {
  const count = { passed: 0, failed: 0, skipped: 0 }
  const failures: string[] = []
  const skips = new Map<string, string[]>()

  const fail = (title: string, text: string) => {
    count.failed++
    failures.push(`FAILED ${title}\n${indent(text)}`)
    print(failures.at(-1) ?? '')
  }
  const hearEnd = ({ type, data }: Ended) => {
    const kind = outcomeOf(type, data)
    const file = relative(root, data.file ?? data.name)
    if (kind === 'passed') count.passed++
    if (kind === 'failed')
      fail(file === relative(root, data.name) ? file : `${file}: ${data.name}`, reasonOf(data.details))
    if (kind === 'skipped') {
      count.skipped++
      const reason = typeof data.skip === 'string' ? data.skip : 'no reason given'
      skips.set(reason, [...(skips.get(reason) ?? []), `${file}: ${data.name}`])
    }
  }

  return {
    checked(name, complaint, ms) {
      if (complaint === null) count.passed++
      else fail(name, complaint)
      print(`${name}  ${seconds(ms)}`)
    },
    hear(event) {
      if (event.type === 'test:pass' || event.type === 'test:fail') hearEnd(event)
      if (event.type === 'test:diagnostic' && !isCount(event.data.message)) print(`  ${event.data.message}`)
      if (event.type === 'test:summary' && event.data.file !== undefined) {
        print(`${relative(root, event.data.file)}  ${seconds(event.data.duration_ms)}`)
      }
    },
    conclude() {
      for (const [reason, names] of skips) print(`SKIPPED ${names.join('\n        ')}\n${indent(reason)}`)
      // Again, for those who read only the end of a long log.
      if (failures.length > 0) print(`\n${failures.map(text => text.split('\n')[0]).join('\n')}`)
      print(`${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}`)
      return count.failed > 0 ? 1 : 0
    },
  }
}

/** Suites are only brackets: they pass with their tests, and count when something of their own fails. */
function outcomeOf(
  type: Ended['type'],
  { details, skip, todo }: Ended['data'],
): 'passed' | 'failed' | 'skipped' | null {
  const isSuite = details.type === 'suite'
  if (skip !== undefined && skip !== false) return 'skipped'
  if (type === 'test:pass') return isSuite ? null : 'passed'
  if (todo !== undefined && todo !== false) return 'skipped'
  return failureOf(details)?.failureType === 'subtestsFailed' ? null : 'failed'
}

function failureOf(details: object): { failureType?: unknown; cause?: unknown } | null {
  return 'error' in details && typeof details.error === 'object' ? details.error : null
}

function reasonOf(details: object): string {
  const failure = failureOf(details)
  const cause = failure?.cause ?? failure
  return cause instanceof Error ? inspect(cause, { depth: 4 }) : typeof cause === 'string' ? cause : inspect(cause)
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '    ')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

/** node:test's own summary of a file comes as diagnostics too; what a test wants to tell is the rest. */
function isCount(message: string): boolean {
  return /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(message)
}
