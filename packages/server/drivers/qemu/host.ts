// What the host is and has.
import { cpus, totalmem } from 'node:os'
import { rmdir, statfs } from 'node:fs/promises'
import { markFolder, unmarkFolder } from '../../folder-mark.ts'
import type { Driver, PoolRef, Space } from '../driver.ts'
import { layersFolder, makePoolFolders, requirePool } from './disks/layer-files.ts'
import { memoryFolder } from './memory/memory-files.ts'
import type { Accelerator } from './options.ts'
import type { Privileges } from './process/privileges.ts'
import { isErrno, problems } from './problems.ts'
import { availableMemoryBytes, memoryForGuests, sharedMemoryBytes, unpromisedBytes } from './memory/ram.ts'
import { requireReachable } from './process/reachable.ts'
import { runTool } from './process/tools.ts'

export const qemuProgram = 'qemu-system-x86_64'

export interface Installed {
  readonly version: string
  /** The newest q35 with a version in its name. */
  readonly machineType: string
}

export async function findInstalled(): Promise<Installed> {
  const [version, types] = await Promise.all([ask('--version'), ask('-machine', 'help')])
  const newest = [...types.matchAll(/^(pc-q35-(\d+)\.(\d+)) /gm)]
    .map(([, name = '', major, minor]) => ({ name, order: Number(major) * 1000 + Number(minor) }))
    .sort((a, b) => b.order - a.order)[0]
  if (!newest) throw problems.toolFailed(qemuProgram, 'it knows no machine of type q35')
  return { version: /version (\S+)/.exec(version)?.[1] ?? 'unknown', machineType: newest.name }
}

async function ask(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runTool(qemuProgram, args, { identity: null, timeoutMs: 20_000 })
  if (code !== 0) throw problems.qemuMissing(qemuProgram, new Error(stderr))
  return stdout
}

/** What a pool has; throws 'unavailable' when it is not there. Only looks. */
export async function poolSpace(pool: PoolRef): Promise<Space> {
  await requirePool(pool)
  const { blocks, bavail, bsize } = await statfs(pool.path)
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
}

function unlessMissing(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error
}

/** This machine, whatever the server calls it. */
export function qemuHosts(
  { version }: Installed,
  accelerator: Accelerator,
  networks: string,
  ramDirectory: string,
): Driver['hosts'] {
  return {
    memory: async () => ({
      availableBytes: await availableMemoryBytes(),
      storeFreeBytes: await unpromisedBytes(ramDirectory),
    }),
    facts: async () => ({
      hypervisorVersion: version,
      acceleration: accelerator,
      cpus: cpus().length,
      cpuMhz: cpus()[0]?.speed ?? 0,
      memoryMib: Math.floor(memoryForGuests(totalmem(), await sharedMemoryBytes()) / 2 ** 20),
      arch: 'x86_64',
      networks,
    }),
  }
}

export function qemuPools(privileges: Privileges): Driver['pools'] {
  return {
    async prepare(pool) {
      await makePoolFolders(pool)
      await requireReachable(pool.path, privileges)
      await markFolder(pool.path, pool.id)
    },
    space: poolSpace,
    async release(pool) {
      for (const folder of [layersFolder(pool), memoryFolder(pool)]) await rmdir(folder).catch(unlessMissing)
      await unmarkFolder(pool.path, pool.id)
    },
  }
}
