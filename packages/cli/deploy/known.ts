// The server passes over parameters that it does not know, as CloudStack does. Here a slip would make another machine than was meant.
import type { Fields } from '@ramet/client/api-error.ts'
import type { Client } from '@ramet/client/client.ts'
import { UsageError } from '../explain.ts'
import { nearest } from '../near.ts'

const command = 'deployVirtualMachine'

/** Throws where one of `names` is no parameter of the call. */
export async function demandKnown(client: Client, names: readonly string[]): Promise<void> {
  const known = parametersIn(await client.call('listApis', { name: command }))
  const unknown = names.find(name => !known.includes(name.replace(/\[.*/, '')))
  if (unknown === undefined) return
  const near = nearest(unknown, known)
  const hint = near.length > 0 ? `Did you mean ${near.join(', ')}?` : `./ramet listApis name=${command} lists them`
  throw new UsageError(`Nothing was deployed: there is no parameter ${unknown}. ${hint}`)
}

function parametersIn({ api }: Fields): string[] {
  const [described] = Array.isArray(api) ? (api as Fields[]) : []
  const params = described?.['params']
  return Array.isArray(params) ? params.map((each: Fields) => String(each['name'])) : []
}
