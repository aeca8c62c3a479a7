// What the operator says at start: command line and environment, read once.
import { parseArgs } from 'node:util'
import { Problem } from '@ramet/core/problem.ts'
import { defaultDataDir } from './data-dir.ts'

export interface Config {
  readonly dataDir: string
  readonly listen: { readonly host: string; readonly port: number }
  /** Null: the embedded PostgreSQL. */
  readonly databaseUrl: string | null
  readonly acceleration: 'auto' | 'kvm' | 'tcg'
  /** Account n runs its machines as user uidBase + n, when the server is root. */
  readonly uidBase: number
  readonly logLevel: string
  /** How many hosts a simulated cloud begins with; null: machines are real. */
  readonly simulate: number | null
}

export const serveUsage = 'ramet serve [--data-dir DIR] [--listen HOST:PORT] [--database-url URL] [--simulate HOSTS]'

export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv): Config {
  const { values } = parse(args)
  return {
    dataDir: values['data-dir'] ?? defaultDataDir(env),
    listen: readAddress(values.listen ?? env['RAMET_LISTEN'] ?? '127.0.0.1:8080'),
    databaseUrl: values['database-url'] ?? env['RAMET_DATABASE_URL'] ?? null,
    acceleration: readAcceleration(env['RAMET_ACCEL'] ?? 'auto'),
    uidBase: Number(env['RAMET_UID_BASE'] ?? 1_900_000_000),
    logLevel: env['RAMET_LOG_LEVEL'] ?? 'info',
    simulate: values.simulate === undefined ? null : readHosts(values.simulate),
  }
}

function parse(args: readonly string[]) {
  try {
    const text = { type: 'string' } as const
    const options = { 'data-dir': text, listen: text, 'database-url': text, simulate: text }
    return parseArgs({ args: [...args], options })
  } catch (error) {
    throw new Problem('invalid', 'bad-arguments', `${(error as Error).message}. Usage: ${serveUsage}`)
  }
}

function readAddress(address: string): Config['listen'] {
  const [, host, port] = address.match(/^\[?([^\]]+?)\]?:(\d{1,5})$/) ?? []
  if (!host || !port)
    throw new Problem('invalid', 'bad-address', `--listen wants HOST:PORT, such as 127.0.0.1:8080; it is "${address}"`)
  return { host, port: Number(port) }
}

function readAcceleration(text: string): Config['acceleration'] {
  if (text === 'auto' || text === 'kvm' || text === 'tcg') return text
  throw new Problem('invalid', 'bad-acceleration', `RAMET_ACCEL is auto, kvm or tcg, not "${text}"`)
}

function readHosts(text: string): number {
  const hosts = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (hosts < 1)
    throw new Problem('invalid', 'bad-arguments', `--simulate wants a number of hosts from 1 to 9999; it is "${text}"`)
  return hosts
}
