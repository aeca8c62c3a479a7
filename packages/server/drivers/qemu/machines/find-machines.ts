// The machines that an earlier server left running: by its records, and by the command lines of all processes, for one that
// was started and never recorded. It only looks.
import { lstat } from 'node:fs/promises'
import { parseId } from '@ramet/core/ids.ts'
import type { VmId } from '@ramet/core/ids.ts'
import type { MachineFacts } from '../../driver.ts'
import { machineOfArguments } from './argv.ts'
import { listFolders, machineFolder, readRecord } from './machine-folder.ts'
import type { MachineFolder } from './machine-folder.ts'
import type { Found } from './machine.ts'
import { awaitedByLiving } from './awaited.ts'
import { networksDirectory, readForwards } from '../network/folder.ts'
import { portsFromArguments, type SshPorts } from '../process/ports.ts'
import { findPrograms, isAlive, type ProcessId } from '../process/process.ts'

/** The process of a machine, and others that were to take over from it, or that it took over from: they are to end. */
export interface FoundMachine extends Found {
  readonly others: readonly ProcessId[]
  readonly isSuccessor: boolean
  /** It was to take over, and what it was to take over from is gone. */
  readonly isLost: boolean
}

export async function findMachines(runDirectory: string): Promise<Map<VmId, FoundMachine>> {
  const candidates = new Map<VmId, Candidate[]>()
  for (const program of await findPrograms(args => machineOfArguments(args, runDirectory) !== null)) {
    const named = machineOfArguments(program.args, runDirectory)
    const vm = parseId<'vm'>(named?.vm ?? '')
    if (!vm || !named) continue
    const folder = machineFolder(runDirectory, vm)
    // Anybody can run something with such arguments; only the server can have made a folder for him.
    if ((await ownerOf(folder)) !== program.uid) continue
    const sshPorts = { ...portsFromArguments(program.args), ...(await forwardedTo(runDirectory, vm)) }
    const { isSuccessor } = named
    candidates.set(vm, [...(candidates.get(vm) ?? []), { process: program, sshPorts, isSuccessor, isRecorded: false }])
  }
  // A record outranks a command line, which its process could rewrite.
  for (const vm of await listFolders(runDirectory)) {
    const record = await readRecord(machineFolder(runDirectory, vm))
    if (!record || !isAlive(record)) continue
    const [known, others] = parted(candidates.get(vm) ?? [], record)
    const isSuccessor = known?.isSuccessor ?? false
    candidates.set(vm, [{ process: record, sshPorts: record.sshPorts, isSuccessor, isRecorded: true }, ...others])
  }
  return new Map([...candidates].map(([vm, each]) => [vm, choose(machineFolder(runDirectory, vm), each)]))
}

interface Candidate {
  readonly process: ProcessId
  readonly sshPorts: SshPorts
  readonly isSuccessor: boolean
  readonly isRecorded: boolean
}

function parted(all: readonly Candidate[], record: ProcessId): [Candidate | undefined, Candidate[]] {
  const isIt = ({ process }: Candidate) => process.pid === record.pid && process.startTime === record.startTime
  return [all.find(isIt), all.filter(each => !isIt(each))]
}

/** The one that is recorded. Where none is, a successor that nobody made the machine has not begun, and never will. */
function choose(folder: MachineFolder, candidates: readonly Candidate[]): FoundMachine {
  const rank = ({ isRecorded, isSuccessor }: Candidate) => (isRecorded ? 0 : isSuccessor ? 2 : 1)
  const [first, ...others] = candidates.toSorted((a, b) => rank(a) - rank(b))
  if (!first) throw new Error(`no process of ${folder.vm}`)
  const { process, sshPorts, isSuccessor, isRecorded } = first
  const found = { folder, process, sshPorts, isSuccessor, others: others.map(each => each.process) }
  return isSuccessor && !isRecorded ? { ...found, isLost: true } : { ...found, isLost: false }
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
  const waiting = await awaitedByLiving(runDirectory)
  const off = (await listFolders(runDirectory)).filter(vm => !found.has(vm) && !waiting.has(vm))
  return [
    ...[...found]
      .filter(([vm]) => !waiting.has(vm))
      .map(([vm, { sshPorts }]) => ({ vm, power: 'on', host: null, sshPorts }) as const),
    ...off.map(vm => ({ vm, power: 'off', host: null, sshPorts: {} }) as const),
  ]
}
