// From a description to running CPUs. That there is one process for a machine is kept three times: the caller looked for one
// that an earlier server left; QEMU locks its pid file before it makes anything, so a process that was missed ends the new
// one; and it locks the disks that it writes.
import { rm, stat } from 'node:fs/promises'
import type { MachineSpec } from '../../driver.ts'
import { withKvmGroup } from '../process/acceleration.ts'
import { requireIso } from '../disks/cdrom.ts'
import { tailOf } from './console.ts'
import { launch, prepareFiles, releaseSockets } from '../process/launch.ts'
import { machineFolder, makeFolder } from './machine-folder.ts'
import type { MachineFolder } from './machine-folder.ts'
import type { Log } from '../options.ts'
import type { Found, Machine } from './machine.ts'
import type { Surroundings } from './machines.ts'
import { choosePorts, portRefused } from '../process/ports.ts'
import type { Identity } from '../process/privileges.ts'
import { killAndWait } from '../process/process.ts'
import { problems } from '../problems.ts'
import { markQuiesced, wake } from '../guest/quiesce.ts'
import { removeFolder, removeRunning } from './remove-folder.ts'
import { openState, type Resumption, resumptionOf } from '../memory/start-from-memory.ts'
import { lastLine } from '../process/tools.ts'

const attempts = 5
const endLimitMs = 5000

type Watch = (found: Found) => Machine

/** Leaves either a running machine, watched, or nothing. */
export async function startMachine(described: MachineSpec, around: Surroundings, watch: Watch): Promise<void> {
  const folder = machineFolder(around.runDirectory, described.vm)
  const existed = await stat(folder.path).catch(() => null)
  const identity = await identityOf(described, around)
  const busy = new Set<number>()
  await requireIso(described.cdrom)
  const resumption = await resumptionOf(described, folder, around)
  const spec = { ...described, nics: resumption?.nics ?? described.nics }
  try {
    await makeFolder(folder, identity)
    await rm(folder.frozen, { force: true }) // it may run again, though the image is there still
    for (let attempt = 1; ; attempt += 1) {
      const port = await attemptStart(spec, folder, identity, busy, resumption, around, watch)
      if (port === null) return
      if (attempt === attempts)
        throw problems.startFailed(`port ${port} of 127.0.0.1 for SSH is taken, like others before it`)
      busy.add(port)
    }
  } catch (error) {
    await (existed ? removeRunning(folder) : removeFolder(folder))
    if (!existed) await around.networks.dismiss(spec.vm)
    throw error
  }
}

/** Who the machine's process is. */
export async function identityOf({ owner }: MachineSpec, { privileges, accelerator }: Surroundings) {
  const account = privileges.account(owner)
  return accelerator === 'kvm' ? withKvmGroup(account) : account
}

/** Null when the machine runs; or the port that somebody else took. */
async function attemptStart(
  spec: MachineSpec,
  folder: MachineFolder,
  identity: Identity | null,
  busy: ReadonlySet<number>,
  resumption: Resumption | null,
  { accelerator, installed, networks, log }: Surroundings,
  watch: Watch,
): Promise<number | null> {
  const listening = prepareFiles(spec, folder, identity, resumption === null)
  const [sockets, ownPorts, networkPorts] = await Promise.all([
    listening,
    choosePorts(spec.nics, busy),
    networks.admit(spec.vm, spec.nics, spec.firstBoot.hostname),
  ]).catch(async (error: unknown) => {
    await listening.then(releaseSockets, () => {})
    throw error
  })
  const ports = { ...ownPorts, ...networkPorts }
  const { machineType, from } = resumption ?? { ...installed, from: null }
  const plan = { spec, folder, ports, accelerator, machineType, ...(from && { from }) }
  const state = resumption && (await openState(resumption))
  const launched = await launch(plan, sockets, state?.fd ?? null, identity).finally(() => {
    releaseSockets(sockets)
    return state?.close()
  })
  const machine = watch({ folder, sshPorts: ports, ...launched })
  machine.quiet = true
  return whenRun(machine, log, async () => {
    if (resumption?.quiesced) await markQuiesced(machine)
    await Promise.all([machine.run(spec.nics), machine.record()])
    machine.quiet = false
    if (resumption?.quiesced) await wake(machine)
  })
}

/** A process that waited for the machine has loaded what it goes on from. */
export async function runWarm(machine: Machine, nics: MachineSpec['nics'], { log }: Surroundings): Promise<void> {
  const port = await whenRun(machine, log, () => machine.run(nics))
  if (port !== null) throw problems.startFailed(`port ${port} of 127.0.0.1 is taken`)
}

/** Null when it runs; or the port that somebody else took. */
async function whenRun(machine: Machine, log: Log, run: () => Promise<void>): Promise<number | null> {
  try {
    await run()
    machine.quiet = false
    log.info({ vm: machine.vm, pid: machine.found.process.pid }, 'a machine runs')
    return null
  } catch (error) {
    await killAndWait(machine.found.process, endLimitMs)
    const said = (await tailOf(machine.found.folder.log, 4096)).toString('utf8')
    const port = portRefused(said)
    if (port !== null) return port
    throw problems.startFailed(lastLine(said), error)
  }
}
