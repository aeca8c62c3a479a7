// A choice among things that the server has: shown with numbers, taken by number, name or id.
import type { Asker, Question } from './ask.ts'
import { UsageError } from '../explain.ts'
import { oneLine } from '../table.ts'

export interface Option<T> {
  readonly value: T
  readonly id: string
  readonly name: string
  /** As it is shown; its name when absent. */
  readonly label?: string
  /** What stands above it, where a new group begins. */
  readonly heading?: string
}

export async function chooseOne<T>(asker: Asker, options: readonly Option<T>[], question: Question): Promise<T> {
  show(asker, options)
  return asker.ask(question, answer => among(options, answer))
}

/** Several, by commas; none of an empty answer. */
export async function chooseSome<T>(asker: Asker, options: readonly Option<T>[], question: Question): Promise<T[]> {
  show(asker, options)
  return asker.ask(question, answer =>
    answer
      .split(',')
      .map(word => word.trim())
      .filter(Boolean)
      .map(word => among(options, word)),
  )
}

function show<T>(asker: Asker, options: readonly Option<T>[]): void {
  const width = String(options.length).length
  for (const [index, { heading, label, name }] of options.entries()) {
    if (heading) asker.say(`\n${oneLine(heading)}`)
    asker.say(`  ${String(index + 1).padStart(width)}  ${oneLine(label ?? name)}`)
  }
}

/** A number counts as one, also where something has it for a name. */
function among<T>(options: readonly Option<T>[], answer: string): T {
  const byNumber = /^\d+$/.test(answer) ? options[Number(answer) - 1] : undefined
  if (byNumber) return byNumber.value
  const named = options.filter(({ id, name }) => id === answer.toLowerCase() || name === answer)
  const [only, other] = named
  if (other) throw new UsageError(`Several are named "${answer}"; choose by number or by id`)
  if (!only)
    throw new UsageError(`"${answer}" is none of them; choose by number from 1 to ${options.length}, by name or by id`)
  return only.value
}
