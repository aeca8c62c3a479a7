// `ramet doctor`: opens the data directory beside a running server, or on its own when none runs, and tells what is wrong.
import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Problem } from '@ramet/core/problem.ts'
import { defaultDataDir } from '../data-dir.ts'
import { observeMachines } from '../drivers/qemu/machines/find-machines.ts'
import type { PoolRef } from '../drivers/driver.ts'
import { poolSpace } from '../drivers/qemu/host.ts'
import { listLayers } from '../drivers/qemu/disks/layer-files.ts'
import { ramDirectory } from '../drivers/qemu/machines/machine-folder.ts'
import { listImages } from '../drivers/qemu/memory/memory-images.ts'
import { networksDirectory } from '../drivers/qemu/network/folder.ts'
import { observeNetworks } from '../drivers/qemu/network/condition.ts'
import { networkKind, networkRefusal } from '../drivers/qemu/network/probe.ts'
import { keptMachines } from '../drivers/simulated/kept.ts'
import { simulatedDriver } from '../drivers/simulated/driver.ts'
import type { World } from '../drivers/simulated/world.ts'
import { journalIn, readWorld } from '../drivers/simulated/journal.ts'
import { lockDataDirectory } from '../postgres/lock-data-directory.ts'
import { databaseUrl, startPostgres } from '../postgres/start-postgres.ts'
import { connect } from '../store/database.ts'
import { examine, type Finding, type Host } from './examine.ts'

/** Prints what it found; 0 when nothing is wrong, 1 when something is. */
export async function doctor(args: readonly string[]): Promise<number> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: [...args],
    options: { 'data-dir': text, 'database-url': text, json: { type: 'boolean' } },
  })
  const directory = values['data-dir'] ?? defaultDataDir(process.env)
  const findings = await diagnose(directory, values['database-url'] ?? process.env['RAMET_DATABASE_URL'])
  const networks = await networkKind(await networkRefusal())
  const said = { ok: findings.length === 0, findings, networks }
  process.stdout.write(values.json ? `${JSON.stringify(said)}\n` : `${report(findings)}Guest networks: ${networks}\n`)
  return findings.length === 0 ? 0 : 1
}

/** What is wrong in the data directory. With a server at work there, only what two looks in a row agree on. */
export async function diagnose(dataDir: string, url?: string): Promise<Finding[]> {
  const directory = await realpath(dataDir).catch(() => {
    throw new Problem('invalid', 'no-data-dir', `There is no data directory ${dataDir}`)
  })
  return withDatabase(directory, url, async at => {
    const first = await look(directory, at)
    if (first.length === 0) return []
    await delay(500)
    const second = (await look(directory, at)).map(each => JSON.stringify(each))
    return first.filter(each => second.includes(JSON.stringify(each)))
  })
}

async function look(directory: string, url: string): Promise<Finding[]> {
  const { db, close } = connect(url, () => {}, 5)
  try {
    return await examine(db, hostOf(directory))
  } finally {
    await close()
  }
}

/** What simulated vCenters hold stands in the same journal. */
function simulatedHost(world: World): Host {
  const driver = simulatedDriver(world)
  const list = async () => [...(await driver.machines.list()), ...keptMachines(world)]
  return { ...driver, machines: { list }, seesOthers: true }
}

function hostOf(directory: string): Host {
  const journal = journalIn(directory)
  if (existsSync(journal)) return simulatedHost(readWorld(journal))
  // No driver: that would watch the machines, and mend and remove what a running server is at work on.
  const machines = { list: () => observeMachines(join(directory, 'vms')) }
  const memory = { list: (pool: PoolRef) => listImages(pool, ramDirectory(join(directory, 'vms'))) }
  const networks = { list: () => observeNetworks(networksDirectory(join(directory, 'vms')), true) }
  return { pools: { space: poolSpace }, layers: { list: listLayers }, memory, machines, networks }
}

/** Uses the database that a running server keeps open, or opens it for the time of the look. */
async function withDatabase<T>(
  directory: string,
  given: string | undefined,
  use: (url: string) => Promise<T>,
): Promise<T> {
  if (given) return use(given)
  const lock = await lockDataDirectory(directory, 0).catch(() => null)
  if (!lock) return use(databaseUrl(directory))
  const postgres = await startPostgres({ directory, log: () => {} })
  try {
    return await use(postgres.url)
  } finally {
    await postgres.stop()
    await lock.release()
  }
}

function report(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'Database, files and processes agree.\n'
  return `${findings.map(({ subject, what, remedy }) => `${subject} ${what}\n    ${remedy}`).join('\n')}\n${findings.length} findings\n`
}
