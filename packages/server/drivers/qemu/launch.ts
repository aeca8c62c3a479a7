// Puts a machine's process into the world. All that it needs lies ready before; what can be made at the same time is.
import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { MachineSpec } from '../driver.ts'
import { machineArguments } from './argv.ts'
import type { MachinePlan } from './argv.ts'
import { qemuProgram } from './host.ts'
import { listenFor } from './listening.ts'
import type { Listening } from './listening.ts'
import { writeOwned } from './machine-folder.ts'
import { networksDirectory } from './network/folder.ts'
import { plugsOf, withTaps } from './network/taps.ts'
import type { MachineFolder } from './machine-folder.ts'
import { type Identity, server } from './privileges.ts'
import { processAt } from './process.ts'
import type { ProcessId } from './process.ts'
import { problems } from './problems.ts'
import { makeRamFile } from './ram.ts'
import { seedVolume } from './seed.ts'
import { toolEnvironment } from './tools.ts'

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
}

export interface Launched {
  readonly process: ProcessId
  readonly ended: Promise<Ended>
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
  const [qmp, agent, taps] = await Promise.all([
    listenFor(folder.qmp),
    listenFor(folder.agent),
    listenFor(folder.taps),
    writeOwned(folder.seed, seedVolume(spec.firstBoot), 0o400, identity),
    writeOwned(folder.console, Buffer.alloc(0), 0o600, identity),
    writeOwned(folder.log, Buffer.alloc(0), 0o600, null),
    boots && makeRamFile(folder.ram, spec.memoryMib, identity),
  ])
  return { qmp, agent, taps }
}

/**
 * Started as the account's user by Node itself, which also clears the groups: going through setpriv would cost 3 ms of 31.
 * Leaving root empties all capability sets but the bounding one, and QEMU's -sandbox sets no-new-privileges, which closes that.
 */
export async function launch(
  plan: MachinePlan,
  { qmp, agent, taps }: Sockets,
  state: number | null,
  identity: Identity | null,
): Promise<Launched> {
  const log = await open(plan.folder.log, 'a')
  try {
    const { program, words, as } = commandOf(plan, identity)
    const child = spawn(program, words, {
      ...as,
      env: toolEnvironment,
      cwd: '/',
      detached: true, // a session of its own: signals for the server's terminal do not reach it
      stdio: ['ignore', log.fd, log.fd, qmp.fd, agent.fd, taps.fd, ...(state === null ? [] : [state])],
    })
    child.unref()
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', cause => reject(problems.qemuMissing(qemuProgram, cause)))
      child.once('exit', (code, signal) => resolve({ code, signal }))
    })
    const process = child.pid === undefined ? null : processAt(child.pid)
    if (process) return { process, ended }
    const { code, signal } = await ended
    throw problems.startFailed(`it ended at once with ${signal ?? code}`)
  } finally {
    await log.close()
  }
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
