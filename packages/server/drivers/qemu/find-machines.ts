// The machines that an earlier server left running: by its records, and by the command lines of all processes, for one that
// was started and never recorded.
import { parseId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import { machineOfArguments } from './argv.ts'
import { listFolders, machineFolder, readRecord } from './machine-folder.ts'
import type { Found } from './machine.ts'
import { portsFromArguments } from './ports.ts'
import { findPrograms, isAlive } from './process.ts'

export async function findMachines(runDirectory: string, serverUid: number): Promise<Map<VmId, Found>> {
  const found = new Map<VmId, Found>()
  for (const program of await findPrograms(args => machineOfArguments(args, runDirectory) !== null)) {
    const vm = parseId<'vm'>(machineOfArguments(program.args, runDirectory) ?? '')
    // As root, machines run as other users; a process of root that only has such arguments is somebody at work.
    if (!vm || (serverUid === 0 && program.uid === 0)) continue
    found.set(vm, {
      folder: machineFolder(runDirectory, vm),
      process: program,
      sshPorts: portsFromArguments(program.args),
    })
  }
  // A record outranks a command line, which its process could rewrite.
  for (const vm of await listFolders(runDirectory)) {
    const folder = machineFolder(runDirectory, vm)
    const record = await readRecord(folder)
    if (record && isAlive(record)) found.set(vm, { folder, process: record, sshPorts: record.sshPorts })
  }
  return found
}
