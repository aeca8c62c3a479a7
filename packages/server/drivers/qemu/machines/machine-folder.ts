// A machine's folder: `<runDirectory>/<vm id>/`. It belongs to the server, so that a machine that was taken over can put no
// link in place of a file that a root server will open. Only `run/` inside is the machine's own.
//
//   qmp.sock agent.sock   where QEMU listens, made by the server (listening.ts)       machine.json   the process, for the next server
//   taps.sock             another monitor, for a program that hands open taps over (network/taps.pl)
//   seed.iso              first-boot data        console.log   serial console      qemu.log   what QEMU wrote on stderr
//   quiesced              there while the guest's file systems are, or may be, at rest      memory.sock   while its memory is saved
//   frozen                names the manifest of a memory image: once that is there, the machine must not run any more (freeze.ts)
//   waiting               there while a process waits to become this machine, and names the server that it waits for (warm-machines.ts)
//   run/                  vnc.sock, and `lock`: QEMU's pid file, which it keeps locked and so runs once
import { constants } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { parseId } from '@ramet/core/ids.ts'
import type { NicId, VmId } from '@ramet/core/ids.ts'
import { asMessage } from '../process/json-socket.ts'
import { syncFolder } from '../disks/layer-files.ts'
import { give, server } from '../process/privileges.ts'
import type { Identity } from '../process/privileges.ts'
import type { ProcessId } from '../process/process.ts'
import { isErrno, problems } from '../problems.ts'

export interface MachineFolder {
  readonly vm: VmId
  readonly path: string
  readonly qmp: string
  readonly agent: string
  readonly taps: string
  readonly record: string
  readonly seed: string
  readonly console: string
  readonly log: string
  readonly quiesced: string
  readonly frozen: string
  readonly waiting: string
  readonly memory: string
  readonly run: string
  readonly vnc: string
  readonly lock: string
  /** The guest's memory: in a file, because an instant clone maps the same file. */
  readonly ram: string
}

const longestName = '/run/vnc.sock'
const longestSocket = 107 // sun_path has 108 bytes, the last one zero: unix(7)

export function checkRunDirectory(runDirectory: string): void {
  if (!runDirectory.startsWith('/')) throw problems.pathNotAbsolute(runDirectory)
  const limit = longestSocket - longestName.length - '/'.length - 36
  if (Buffer.byteLength(runDirectory) > limit) throw problems.pathTooLong(runDirectory, limit)
}

export function machineFolder(runDirectory: string, vm: VmId): MachineFolder {
  const path = join(runDirectory, vm)
  const at = (name: string) => join(path, name)
  return {
    vm,
    path,
    qmp: at('qmp.sock'),
    agent: at('agent.sock'),
    taps: at('taps.sock'),
    record: at('machine.json'),
    seed: at('seed.iso'),
    console: at('console.log'),
    log: at('qemu.log'),
    quiesced: at('quiesced'),
    frozen: at('frozen'),
    waiting: at('waiting'),
    memory: at('memory.sock'),
    run: at('run'),
    vnc: at('run/vnc.sock'),
    lock: at('run/lock'),
    ram: join(ramDirectory(runDirectory), `${vm}.ram`),
  }
}

/** Names for a process that will take over from the one which has the others; they become these then (settleSuccessor). */
export function successorFolder(folder: MachineFolder): MachineFolder {
  const { path, run } = folder
  const sockets = { qmp: join(path, 'qmp.next'), agent: join(path, 'agent.next'), taps: join(path, 'taps.next') }
  return { ...folder, ...sockets, vnc: join(run, 'vnc.next'), lock: join(run, 'lock.next') }
}

const handedOver = ['qmp', 'agent', 'taps', 'vnc', 'lock'] as const

/** May be repeated: what has its name already is left alone. */
export async function settleSuccessor(folder: MachineFolder): Promise<void> {
  const next = successorFolder(folder)
  for (const name of handedOver) await rename(next[name], folder[name]).catch(unlessMissing)
}

export async function dropSuccessor(folder: MachineFolder): Promise<void> {
  const next = successorFolder(folder)
  // Two of them are in the machine's own folder, which its user may have filled with anything.
  for (const name of handedOver) await unlink(next[name]).catch(() => {})
}

function unlessMissing(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error
}

/** On tmpfs, where a guest's memory must be; the hash keeps servers apart, and a later server finds its own files again. */
export function ramDirectory(runDirectory: string): string {
  return `/dev/shm/ramet-${createHash('sha256').update(runDirectory).digest('hex').slice(0, 16)}`
}

export async function makeFolder(folder: MachineFolder, identity: Identity | null): Promise<void> {
  await mkdir(folder.path, { recursive: true, mode: 0o711 })
  await mkdir(folder.run, { recursive: true, mode: 0o700 })
  await give(folder.run, identity)
}

/** Who the machine runs as; null where that is the server's own user. */
export async function ownerOfFolder({ run }: MachineFolder): Promise<Identity | null> {
  const { uid, gid } = await stat(run)
  return uid === server.uid ? null : { uid, gid }
}

/** A new file for the machine, in place of an old one. */
export async function writeOwned(
  path: string,
  bytes: Uint8Array,
  mode: number,
  identity: Identity | null,
): Promise<void> {
  await rm(path, { force: true })
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode)
  try {
    await file.write(bytes)
    await give(file, identity)
  } finally {
    await file.close()
  }
}

/** What the next server must know of a machine that outlives this one. */
export interface MachineRecord extends ProcessId {
  readonly sshPorts: Readonly<Record<NicId, number>>
}

export async function writeRecord(folder: MachineFolder, record: MachineRecord): Promise<void> {
  await (await prepareRecord(folder, record))()
  await syncFolder(folder.path)
}

/** Fulfils with what makes the record valid, at once. */
export async function prepareRecord(folder: MachineFolder, record: MachineRecord): Promise<() => Promise<void>> {
  const part = `${folder.record}.part`
  const file = await open(part, 'w', 0o600)
  try {
    await file.writeFile(JSON.stringify(record))
    await file.sync()
  } finally {
    await file.close()
  }
  return () => rename(part, folder.record)
}

/** Null when there is none, or only half of one. */
export async function readRecord(folder: MachineFolder): Promise<MachineRecord | null> {
  try {
    const { pid, startTime, boot, sshPorts } = asMessage(JSON.parse(await readFile(folder.record, 'utf8')))
    if (typeof pid !== 'number' || typeof startTime !== 'string' || typeof boot !== 'string') return null
    const ports = Object.entries(asMessage(sshPorts)).filter(
      (entry): entry is [NicId, number] => typeof entry[1] === 'number',
    )
    return { pid, startTime, boot, sshPorts: Object.fromEntries(ports) }
  } catch {
    return null
  }
}

/** Ids of all machines that have a folder. */
export async function listFolders(runDirectory: string): Promise<VmId[]> {
  try {
    const names = await readdir(runDirectory)
    return names.map(name => parseId<'vm'>(name)).filter(id => id !== null)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
