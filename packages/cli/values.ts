// Values that are not to stand on the command line, where every user of the machine reads them in the list of processes: NAME=@FILE is
// what the file holds, NAME=@- what comes on standard input, and NAME=@@TEXT is @TEXT.
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { UsageError } from './explain.ts'

type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean }

/** The parameters with what their values name in place of the names; the line break at the end of a file is none of its value. */
export async function readValues(
  parameters: Readonly<Record<string, string>>,
  input: Input = process.stdin,
): Promise<Record<string, string>> {
  const asking = Object.keys(parameters).filter(name => parameters[name] === '@-')
  if (asking.length > 1)
    throw new UsageError(`Only one parameter comes on standard input, and ${asking.join(' and ')} shall; use @FILE`)
  const read = Object.entries(parameters).map(async ([name, value]) => [name, await valueOf(name, value, input)])
  return Object.fromEntries(await Promise.all(read)) as Record<string, string>
}

async function valueOf(name: string, value: string, input: Input): Promise<string> {
  if (!value.startsWith('@')) return value
  if (value.startsWith('@@')) return value.slice(1)
  if (value === '@-') return withoutLineEnd(await fromInput(name, input))
  return withoutLineEnd(await fromFile(name, value.slice(1)))
}

/** Of a terminal nothing is read: it would show what is typed. */
async function fromInput(name: string, input: Input): Promise<string> {
  if (!input.isTTY) return text(input)
  throw new UsageError(`${name}=@- reads standard input, which is a terminal; lead a file or a command into it`)
}

async function fromFile(name: string, file: string): Promise<string> {
  const hint = `write ${name}=@FILE for what a file holds, and ${name}=@@TEXT for a value that begins with @`
  if (file === '') throw new UsageError(`${name}=@ names no file; ${hint}`)
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new UsageError(`The file of ${name} cannot be read: ${reasonOf(cause)}; ${hint}`, { cause })
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function withoutLineEnd(read: string): string {
  return read.replace(/\r?\n$/, '')
}
