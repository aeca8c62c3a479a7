// For tests: a driver on folders of its own, and a way to leave nothing behind.
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rename, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import type { DriverUnderTest } from '../contract.ts'
import type { LayerChain } from '../driver.ts'
import { chainAsFilename, writableChainAsFilename } from './disks/blockdev.ts'
import { qemuDriver } from './driver.ts'
import { findMachines } from './machines/find-machines.ts'
import { ramDirectory } from './machines/machine-folder.ts'
import { killAndWait } from './process/process.ts'

const run = promisify(execFile)
export const quietLog = { info() {}, warn() {}, error() {} }

export interface QemuUnderTest extends DriverUnderTest {
  readonly folder: string
  readonly runDirectory: string
  /** Another driver on the same folders, as after a restart of the server. */
  again(): Promise<DriverUnderTest['driver']>
}

export async function aQemuDriver(): Promise<QemuUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'ramet-q-'))
  await chmod(folder, 0o711) // machines run as other users, and pass through
  const runDirectory = join(folder, 'vms')
  const make = () => qemuDriver({ runDirectory, acceleration: 'tcg', log: quietLog })
  const driver = await make()
  const file = join(folder, 'image.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', file, '64M'])
  const made = [driver]
  return {
    driver,
    folder,
    runDirectory,
    hosts: [{ id: newId<'host'>(), name: 'here' }],
    pool: { id: newId<'storage-pool'>(), path: join(folder, 'pool') },
    image: { file, format: 'qcow2' },
    write: async (chain, block, letter) =>
      void (await inLayer(chain, `write -P ${letter.charCodeAt(0)} ${place(block)}`)),
    read: (chain, block) => readBlock(chain, block),
    crash: vm => killMachine(runDirectory, vm),
    async unmount({ path }) {
      await rename(path, `${path}.away`)
      await mkdir(path)
    },
    async mount({ path }) {
      await rmdir(path)
      await rename(`${path}.away`, path)
    },
    async again() {
      made.push(await make())
      return made.at(-1) ?? driver
    },
    async dispose() {
      for (const each of made) await each.close()
      for (const vm of (await findMachines(runDirectory)).keys()) await killMachine(runDirectory, vm)
      if (driver.capabilities.networks)
        for (const { id } of await driver.networks.list()) await driver.networks.remove(id)
      await rm(ramDirectory(runDirectory), { recursive: true, force: true })
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const place = (block: number) => `${block}M 64k`

/** By qemu-io, which opens nothing but this chain. */
async function inLayer(chain: LayerChain, command: string): Promise<string> {
  return (await run('qemu-io', ['-c', command, writableChainAsFilename(chain)])).stdout
}

async function readBlock(chain: LayerChain, block: number): Promise<string> {
  const said = await run('qemu-io', [
    '-r',
    '-c',
    `read -v ${place(block).replace('64k', '512')}`,
    chainAsFilename(chain),
  ])
  const byte = Number.parseInt(/^[0-9a-f]{8}:\s+([0-9a-f]{2})/m.exec(said.stdout)?.[1] ?? '', 16)
  return byte === 0 ? '' : String.fromCharCode(byte)
}

export async function processOf(runDirectory: string, vm: VmId) {
  return (await findMachines(runDirectory)).get(vm)?.process
}

async function killMachine(runDirectory: string, vm: VmId): Promise<void> {
  const found = await processOf(runDirectory, vm)
  if (found) await killAndWait(found, 5000)
}
