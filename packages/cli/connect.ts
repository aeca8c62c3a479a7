// Which server a command speaks to, and with whose keys.
import { readAdmin } from '@ramet/client/admin.ts'
import { type Client, type ClientOptions, createClient } from '@ramet/client/client.ts'
import { defaultDataDir } from '@ramet/server/data-dir.ts'
import type { Invocation } from './arguments.ts'
import { UsageError } from './explain.ts'

export async function connect(invocation: Pick<Invocation, 'url' | 'dataDir'>): Promise<Client> {
  return createClient(checked(await whom(invocation)))
}

/** The server to call, and the keys to call it with. */
async function whom({ url, dataDir }: Pick<Invocation, 'url' | 'dataDir'>): Promise<ClientOptions> {
  if (url !== null) return { url, ...keysOf(process.env) }
  const folder = dataDir ?? defaultDataDir(process.env)
  try {
    return await readAdmin(folder)
  } catch (cause) {
    const text = `No server has kept its data in ${folder}. Start one with: ./ramet serve --data-dir '${folder}', or name another by --data-dir or --url`
    throw new UsageError(text, { cause })
  }
}

function checked(options: ClientOptions): ClientOptions {
  if (URL.canParse(options.url)) return options
  throw new UsageError(`"${options.url}" is not the URL of a server; it looks like http://127.0.0.1:8080`)
}

function keysOf({ RAMET_APIKEY: apikey, RAMET_SECRETKEY: secretkey }: NodeJS.ProcessEnv) {
  if (apikey && secretkey) return { apikey, secretkey }
  throw new UsageError('--url needs the keys of a user: set RAMET_APIKEY and RAMET_SECRETKEY')
}
