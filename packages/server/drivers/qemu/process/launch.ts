// Puts a machine's process into the world. All that it needs lies ready before; what can be made at the same time is.
import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process'
import { open } from 'node:fs/promises'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import type { MachineSpec } from '../../driver.ts'
import { inheritedFds, machineArguments } from '../machines/argv.ts'
import type { MachinePlan } from '../machines/argv.ts'
import { qemuProgram } from '../host.ts'
import { listenFor } from './listening.ts'
import type { Listening } from './listening.ts'
import { writeOwned } from '../machines/machine-folder.ts'
import { networksDirectory } from '../network/folder.ts'
import { plugsOf, withTaps } from '../network/taps.ts'
import type { MachineFolder } from '../machines/machine-folder.ts'
import { type Identity, server } from './privileges.ts'
import { processAt } from './process.ts'
import type { ProcessId } from './process.ts'
import { problems } from '../problems.ts'
import { makeRamFile } from '../memory/ram.ts'
import { seedVolume } from '../disks/seed.ts'
import { toolEnvironment } from './tools.ts'

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

export interface Launched {
  readonly process: ProcessId
  readonly ended: Promise<Ended>
  /** Where its devices' state is written, by us; it ends by itself when nobody does, and this server is gone. */
  readonly feed: Writable | null
}

export interface Sockets {
  readonly qmp: Listening
  readonly agent: Listening
  readonly taps: Listening
}

/** The files that QEMU opens, and the sockets that it inherits. */
export async function prepareFiles(
  spec: MachineSpec,
  folder: MachineFolder,
  identity: Identity | null,
  boots: boolean,
): Promise<Sockets> {
  const listening = prepareSockets(folder)
  listening.catch(() => {}) // it is waited for below
  try {
    await Promise.all([
      writeOwned(folder.seed, seedVolume(spec.firstBoot), 0o400, identity),
      writeOwned(folder.console, Buffer.alloc(0), 0o600, identity),
      writeOwned(folder.log, Buffer.alloc(0), 0o600, null),
      boots && makeRamFile(folder.ram, spec.memoryMib, identity),
    ])
  } catch (error) {
    await listening.then(releaseSockets, () => {})
    throw error
  }
  return listening
}

/** All that a process needs which takes over from another, whose files are there. */
export async function prepareSockets(folder: MachineFolder): Promise<Sockets> {
  const [qmp, agent, taps] = await Promise.all([folder.qmp, folder.agent, folder.taps].map(listenFor))
  if (!qmp || !agent || !taps) throw new Error('no sockets')
  return { qmp, agent, taps }
}

export function releaseSockets({ qmp, agent, taps }: Sockets): void {
  for (const socket of [qmp, agent, taps]) socket.release()
}

/**
 * Started as the account's user by Node itself, which also clears the groups: going through setpriv would cost 3 ms of 31.
 * Leaving root empties all capability sets but the bounding one, and QEMU's -sandbox sets no-new-privileges, which closes that.
 */
export async function launch(
  plan: MachinePlan,
  { qmp, agent, taps }: Sockets,
  state: number | 'fed' | null,
  identity: Identity | null,
): Promise<Launched> {
  const log = await open(plan.folder.log, 'a')
  try {
    const { program, words, as } = commandOf(plan, identity)
    const stdio: StdioOptions = ['ignore', log.fd, log.fd, qmp.fd, agent.fd, taps.fd]
    if (state !== null) stdio.push(state === 'fed' ? 'pipe' : state)
    // A session of its own: signals for the server's terminal do not reach it.
    const child: ChildProcess = spawn(program, words, { ...as, env: toolEnvironment, cwd: '/', detached: true, stdio })
    child.unref()
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', cause => reject(problems.qemuMissing(qemuProgram, cause)))
      child.once('exit', (code, signal) => resolve({ code, signal }))
    })
    const process = child.pid === undefined ? null : processAt(child.pid)
    const feed = state === 'fed' ? feedOf(child) : null
    if (process) return { process, ended, feed }
    const { code, signal } = await ended
    throw problems.startFailed(`it ended at once with ${signal ?? code}`)
  } finally {
    await log.close()
  }
}

function feedOf(child: ChildProcess): Writable {
  const feed: unknown = child.stdio.at(inheritedFds.state)
  if (!(feed instanceof Socket)) throw problems.startFailed('it cannot be given the state of its devices')
  feed.on('error', () => {}) // a process that ended is noticed otherwise
  return feed.unref()
}

/** With cards in networks another program comes first, which needs the server's rights to open them, and takes the identity then. */
function commandOf(plan: MachinePlan, identity: Identity | null) {
  const words = machineArguments(plan)
  const plugs = plugsOf(plan.spec.nics)
  if (plugs.length === 0) return { program: qemuProgram, words, as: identity ?? {} }
  const directory = networksDirectory(dirname(plan.folder.path))
  const [program, ...first] = withTaps(directory, plugs, identity ?? server, [qemuProgram, ...words])
  return { program, words: first, as: {} }
}
