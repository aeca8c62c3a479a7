// A simulated cloud to be measured: a server process of its own, as many hosts as are asked for, and no guest that would take
// processors away from it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@ramet/client/client.ts'
import { type ServerProcess, startServer } from '../server-process.ts'
import { list } from '../world.ts'

export interface SimulatedCloud {
  readonly directory: string
  readonly client: Client
  readonly pid: number
  /** Asks for a machine, without waiting for it. */
  deploy(): Promise<unknown>
  /** How many machines run. */
  running(): Promise<number>
  /** Stops the server, changes what it left, and starts it again. */
  restart(change: () => Promise<void>): Promise<void>
}

export async function withSimulatedCloud<T>(hosts: number, use: (cloud: SimulatedCloud) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'ramet-bench-'))
  const start = () => startServer(directory, { RAMET_LOG_LEVEL: 'warn' }, ['--simulate', String(hosts)])
  let server: ServerProcess = await start()
  try {
    const parameters = await deployment(server.client)
    return await use({
      directory,
      get client() {
        return server.client
      },
      get pid() {
        return server.child.pid ?? 0
      },
      deploy: () => server.client.call('deployVirtualMachine', parameters),
      running: () => countRunning(server.client),
      async restart(change) {
        await change()
        await server.end('SIGTERM')
        server = await start()
      },
    })
  } finally {
    await server.end('SIGTERM')
    for (const each of [directory, `${directory}.log`]) await rm(each, { recursive: true, force: true })
  }
}

async function deployment(client: Client): Promise<Record<string, string>> {
  const [[zone], [offering], [template]] = await Promise.all([
    list(client, 'listZones', 'zone'),
    list(client, 'listServiceOfferings', 'serviceoffering', { name: 'Tiny Instance' }),
    list(client, 'listTemplates', 'template', { templatefilter: 'all' }),
  ])
  return {
    zoneid: String(zone?.['id']),
    serviceofferingid: String(offering?.['id']),
    templateid: String(template?.['id']),
  }
}

async function countRunning(client: Client): Promise<number> {
  const { count } = await client.call('listVirtualMachines', {
    listall: true,
    state: 'Running',
    retrieveonlyresourcecount: true,
  })
  return Number(count ?? 0)
}
