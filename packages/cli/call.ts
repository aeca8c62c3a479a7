// `./ramet COMMAND key=value…`: calls the API, waits for the job, and prints what came of it.
import { ApiError, type Fields } from '@ramet/client/api-error.ts'
import type { Client } from '@ramet/client/client.ts'
import { parseArguments } from './arguments.ts'
import { connect } from './connect.ts'
import { UsageError } from './explain.ts'
import { nearest } from './near.ts'
import { openProgress } from './progress.ts'
import { followRemovals } from './removals.ts'
import { render, warningsIn } from './render.ts'
import { readValues } from './values.ts'

export async function callApi(args: string[]): Promise<number> {
  const invocation = parseArguments(args)
  const { command, json } = invocation
  const parameters = await readValues(invocation.parameters)
  const client = await connect(invocation)
  const progress = openProgress(process.stderr)
  try {
    const answer = await client.run(command, parameters, progress.show)
    const failures = await followRemovals(client, answer, progress.show)
    progress.clear()
    print(json ? JSON.stringify(answer, null, 2) : render(command, answer, process.stdout.columns ?? Infinity))
    for (const text of [...failures, ...(json ? [] : warningsIn(answer))]) process.stderr.write(`Warning: ${text}\n`)
    return 0
  } catch (error) {
    progress.clear()
    throw (await unknownCommand(client, command, error)) ?? error
  }
}

export function print(text: string): void {
  if (text !== '') process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

/** A wrong name and a wrong key get the same refusal; whether the server lists the name tells them apart. */
async function unknownCommand(client: Client, command: string, error: unknown): Promise<UsageError | null> {
  if (!(error instanceof ApiError) || ![401, 432].includes(error.errorcode)) return null
  const names = await client.call('listApis').then(namesOf, () => [])
  if (names.length === 0 || names.some(name => name.toLowerCase() === command.toLowerCase())) return null
  const near = nearest(command, names)
  const hint = near.length > 0 ? `Did you mean ${near.join(', ')}?` : './ramet listApis lists all'
  return new UsageError(`There is no command ${command}. ${hint}`)
}

function namesOf({ api }: Fields): string[] {
  return Array.isArray(api) ? api.map((each: Fields) => String(each.name)) : []
}
