// The machines that an earlier server left running: by its records, and by the command lines of all processes, for one that
// was started and never recorded. It only looks.
import { lstat } from 'node:fs/promises'
import { parseId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import type { MachineFacts } from '../driver.ts'
import { machineOfArguments } from './argv.ts'
import { listFolders, machineFolder, readRecord } from './machine-folder.ts'
import type { MachineFolder } from './machine-folder.ts'
import type { Found } from './machine.ts'
import { networksDirectory, readForwards } from './network/folder.ts'
import { portsFromArguments, type SshPorts } from './ports.ts'
import { findPrograms, isAlive } from './process.ts'

export async function findMachines(runDirectory: string): Promise<Map<VmId, Found>> {
  const found = new Map<VmId, Found>()
  for (const program of await findPrograms(args => machineOfArguments(args, runDirectory) !== null)) {
    const vm = parseId<'vm'>(machineOfArguments(program.args, runDirectory) ?? '')
    if (!vm) continue
    const folder = machineFolder(runDirectory, vm)
    // Anybody can run something with such arguments; only the server can have made a folder for him.
    if ((await ownerOf(folder)) !== program.uid) continue
    const sshPorts = { ...portsFromArguments(program.args), ...(await forwardedTo(runDirectory, vm)) }
    found.set(vm, { folder, process: program, sshPorts })
  }
  // A record outranks a command line, which its process could rewrite.
  for (const vm of await listFolders(runDirectory)) {
    const folder = machineFolder(runDirectory, vm)
    const record = await readRecord(folder)
    if (record && isAlive(record)) found.set(vm, { folder, process: record, sshPorts: record.sshPorts })
  }
  return found
}

async function forwardedTo(runDirectory: string, vm: VmId): Promise<SshPorts> {
  const all = await readForwards(networksDirectory(runDirectory))
  return Object.fromEntries(all.flatMap(({ ssh, port }) => (ssh?.vm === vm ? [[ssh.nic, port]] : [])))
}

/** Who was given the machine's own folder; where somebody removed that, its memory. */
async function ownerOf({ run, ram }: MachineFolder): Promise<number | null> {
  const given = await lstat(run).catch(() => lstat(ram).catch(() => null))
  return given?.uid ?? null
}

/** Every machine of which there is a process or a folder, for one who only wants to know. */
export async function observeMachines(runDirectory: string): Promise<MachineFacts[]> {
  const found = await findMachines(runDirectory)
  const off = (await listFolders(runDirectory)).filter(vm => !found.has(vm))
  return [
    ...[...found].map(([vm, { sshPorts }]) => ({ vm, power: 'on', host: null, sshPorts }) as const),
    ...off.map(vm => ({ vm, power: 'off', host: null, sshPorts: {} }) as const),
  ]
}
