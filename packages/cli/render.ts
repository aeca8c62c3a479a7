// An answer of the API as text: a table for objects, plain text for a console's log, a word for a bare success.
import { type Fields, isFields } from '@ramet/client/api-error.ts'
import { columnsFor, isFilled } from './columns.ts'
import { cellText, oneLine, table } from './table.ts'

/** A password is told once, to whoever asked for the machine or for a new one; a list on a screen is for many eyes. */
const tellsPassword = /^(deploy|clone|resetPassword)/i

export function render(command: string, answer: Fields, width: number): string {
  if (/^getConsoleLog$/i.test(command)) return consoleText(answer)
  const shown = tellsPassword.test(command) ? answer : withoutPasswords(answer)
  if (isDone(shown)) return typeof shown.displaytext === 'string' ? shown.displaytext : 'Done'
  const found = objectsIn(shown)
  if (found)
    return withTotal(table(columnsFor(found.kind, found.rows), found.rows, width), found.rows.length, shown.count)
  return isEmptyList(shown) ? 'None' : pairs(shown)
}

/** What its objects warn of, each sentence once. */
export function warningsIn(answer: Fields): string[] {
  const warnings = objectsIn(answer)?.rows.map(({ warning }) => warning) ?? []
  return [...new Set(warnings.filter(isFilled).map(warning => oneLine(cellText(warning))))]
}

/** The list of objects, or the one object, that an answer holds. */
function objectsIn(answer: Fields): { kind: string; rows: Fields[] } | null {
  for (const [kind, value] of Object.entries(answer)) {
    if (Array.isArray(value) && value.some(isFields)) return { kind, rows: value.filter(isFields) }
    if (isFields(value) && Object.keys(answer).length === 1) return { kind, rows: [value] }
  }
  return null
}

function withTotal(text: string, shown: number, count: unknown): string {
  return typeof count === 'number' && count > shown
    ? `${text}\n${shown} of ${count}; page=2 pagesize=${shown} shows more`
    : text
}

function consoleText(answer: Fields): string {
  const log = isFields(answer.consolelog) ? answer.consolelog : answer
  return cellText(log.output)
}

function withoutPasswords(fields: Fields): Fields {
  const kept = Object.entries(fields).filter(([name]) => name !== 'password')
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutPasswordsIn(value)]))
}

function withoutPasswordsIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPasswordsIn)
  return isFields(value) ? withoutPasswords(value) : value
}

function isDone(answer: Fields): boolean {
  return answer.success === true || answer.success === 'true'
}

function isEmptyList(answer: Fields): boolean {
  return Object.keys(answer).every(name => name === 'count')
}

/** A flat answer, one field a line. */
function pairs(answer: Fields): string {
  const filled = Object.entries(answer).filter(([, value]) => isFilled(value))
  const widest = Math.max(...filled.map(([name]) => name.length))
  return filled.map(([name, value]) => `${name.padEnd(widest)}  ${cellText(value)}`).join('\n')
}
