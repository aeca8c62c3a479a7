// Reads the words after `./ramet`: a command, KEY=VALUE pairs, and a few options.
import { UsageError } from './explain.ts'

export interface Invocation {
  readonly command: string
  readonly parameters: Readonly<Record<string, string>>
  readonly json: boolean
  readonly dataDir: string | null
  readonly url: string | null
}

const optionsWithValue = ['--data-dir', '--url'] as const

export function parseArguments([command = '', ...words]: readonly string[]): Invocation {
  const parameters: Record<string, string> = {}
  const options: Partial<Record<string, string>> = {}
  let json = false
  for (const queue = [...words]; queue.length > 0; ) {
    const word = queue.shift() ?? ''
    const option = optionsWithValue.find(name => word === name || word.startsWith(`${name}=`))
    if (word === '--json') json = true
    else if (option) options[option] = valueOf(option, word, queue)
    else addParameter(parameters, word)
  }
  return { command, parameters, json, dataDir: options['--data-dir'] ?? null, url: options['--url'] ?? null }
}

function valueOf(option: string, word: string, queue: string[]): string {
  const value = word === option ? queue.shift() : word.slice(option.length + 1)
  if (value === undefined || value === '') throw new UsageError(`${option} needs a value, as in ${option} VALUE`)
  return value
}

/** The value is all that follows the first equals sign. */
function addParameter(parameters: Record<string, string>, word: string): void {
  const at = word.indexOf('=')
  if (word.startsWith('-')) throw new UsageError(`There is no option ${word}; ./ramet help lists them`)
  if (at < 1) throw new UsageError(`"${word}" is not a parameter; write NAME=VALUE, as in state=Running`)
  parameters[word.slice(0, at)] = word.slice(at + 1)
}
