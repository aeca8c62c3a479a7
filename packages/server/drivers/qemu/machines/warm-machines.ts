// Processes that wait to become clones. Such a one is QEMU with everything that a clone of a memory image has: its own ids, its account's
// user, its root ports, the cards without link, the image mapped, the state of the devices loaded. In front of its disks is nothing
// yet. When the clone is started they are opened and put there, and the guest goes on.
//
// From before its process is made until it is a machine, a file `waiting` lies in the folder. A server that finds it may end the process: its
// guest has never run. It goes when the disks are where they belong, so a process without it can be let go on by whoever finds it.
import { rm, writeFile } from 'node:fs/promises'
import type { MemoryImageId, VmId } from '@ramet/core/ids.ts'
import type { MachineSpec, MemoryImageRef } from '../../driver.ts'
import { machineNodes, tipName } from '../disks/blockdev.ts'
import { seedVolume } from '../disks/seed.ts'
import { openState, type Resumption, resumptionOf } from '../memory/start-from-memory.ts'
import { launch, prepareFiles, releaseSockets } from '../process/launch.ts'
import type { Identity } from '../process/privileges.ts'
import { killAndWait, processAt } from '../process/process.ts'
import { diskId, laterName, machineArguments, type MachinePlan, seedId, seedName, seedNode } from './argv.ts'
import { type MachineFolder, machineFolder, makeFolder, prepareRecord, writeOwned } from './machine-folder.ts'
import { Machine } from './machine.ts'
import type { Surroundings } from './machines.ts'
import { removeFolder } from './remove-folder.ts'
import { identityOf } from './start-machine.ts'

const endLimitMs = 5000

interface Waiting {
  readonly image: MemoryImageId
  readonly machine: Machine
  readonly args: readonly string[]
  readonly identity: Identity | null
  readonly resumption: Resumption
  /** Makes it a machine for the next server. */
  readonly become: () => Promise<void>
}

export class WarmMachines {
  readonly #around: Surroundings
  /** Null while it is being made, or ended. */
  readonly #all = new Map<VmId, Waiting | null>()
  readonly #ending = new Map<VmId, Promise<void>>()
  #closed = false

  constructor(around: Surroundings) {
    this.#around = around
  }

  has(vm: VmId): boolean {
    return this.#all.has(vm)
  }

  waiting(): ReadonlyMap<VmId, MemoryImageId> {
    return new Map([...this.#all].flatMap(([vm, each]) => (each?.machine.alive ? [[vm, each.image] as const] : [])))
  }

  async prepare(spec: MachineSpec): Promise<void> {
    if (this.#closed || this.#all.has(spec.vm)) return
    const folder = machineFolder(this.#around.runDirectory, spec.vm)
    const resumption = await resumptionOf(spec, folder, this.#around, false)
    if (!spec.memory || !resumption || resumption.quiesced || spec.cdrom)
      throw new Error('a clone with a CD, or of a guest whose file systems are at rest, is not waited for')
    this.#all.set(spec.vm, null)
    try {
      const waiting = await this.#made(spec, spec.memory, folder, resumption)
      this.#all.set(spec.vm, waiting)
      void waiting.machine.gone.then(() => this.#gone(spec.vm, waiting))
    } catch (error) {
      this.#all.delete(spec.vm)
      await removeFolder(folder)
      throw error
    }
    if (this.#closed) await this.end(spec.vm)
  }

  async #made(
    spec: MachineSpec,
    image: MemoryImageRef,
    folder: MachineFolder,
    resumption: Resumption,
  ): Promise<Waiting> {
    const { accelerator, log } = this.#around
    const identity = await identityOf(spec, this.#around)
    await makeFolder(folder, identity)
    await writeFile(folder.waiting, JSON.stringify(processAt(process.pid)), { mode: 0o600 })
    const [sockets, state] = await Promise.all([prepareFiles(spec, folder, identity, false), openState(resumption)])
    const plan = planOf(spec, folder, accelerator, resumption)
    const launched = await launch(plan, sockets, state.fd, identity).finally(() => {
      releaseSockets(sockets)
      return state.close()
    })
    const machine = new Machine({ folder, sshPorts: {}, ...launched }, log)
    machine.quiet = true
    try {
      await machine.loaded()
      const become = await prepareRecord(folder, { ...launched.process, sshPorts: {} })
      return { image: image.id, machine, args: machineArguments(plan), identity, resumption, become }
    } catch (error) {
      machine.release()
      await killAndWait(launched.process, endLimitMs)
      throw error
    }
  }

  /** The machine, which has all but the word to go on, if one waits for it and is what the machine would be; nothing of it is left otherwise. */
  async take(spec: MachineSpec): Promise<{ machine: Machine; resumption: Resumption } | null> {
    const waiting = this.#all.get(spec.vm)
    if (!waiting) {
      await this.#ending.get(spec.vm)?.catch(() => {}) // it has the folder
      return null
    }
    const { machine, identity } = waiting
    const { folder } = machine.found
    const resumption = await resumptionOf(spec, folder, this.#around)
    try {
      if (!machine.alive || !resumption || !(await this.#isSame(waiting, spec, resumption)))
        throw new Error('it is gone, or is not what the clone would be')
      await Promise.all([waiting.become(), writeOwned(folder.seed, seedVolume(spec.firstBoot), 0o400, identity)])
      await putDisks(machine, spec)
      await rm(folder.waiting)
      this.#all.delete(spec.vm)
      return { machine, resumption }
    } catch (error) {
      this.#around.log.warn({ vm: spec.vm, err: error }, 'what waited for a clone cannot be used')
      await this.end(spec.vm)
      return null
    }
  }

  async #isSame({ args, identity }: Waiting, spec: MachineSpec, resumption: Resumption): Promise<boolean> {
    if ((await identityOf(spec, this.#around))?.uid !== identity?.uid) return false
    const { runDirectory, accelerator } = this.#around
    const wanted = machineArguments(planOf(spec, machineFolder(runDirectory, spec.vm), accelerator, resumption))
    return wanted.length === args.length && wanted.every((word, index) => word === args[index])
  }

  async end(vm: VmId): Promise<void> {
    const waiting = this.#all.get(vm)
    if (!waiting) return this.#ending.get(vm)
    this.#all.set(vm, null)
    const ended = this.#end(waiting).finally(() => {
      this.#all.delete(vm)
      this.#ending.delete(vm)
    })
    this.#ending.set(vm, ended)
    return ended
  }

  async #end({ machine }: Waiting): Promise<void> {
    machine.release()
    await killAndWait(machine.found.process, endLimitMs)
    await removeFolder(machine.found.folder)
  }

  async #gone(vm: VmId, waiting: Waiting): Promise<void> {
    if (this.#all.get(vm) !== waiting) return
    this.#around.log.warn({ vm }, 'what waited for a clone has ended')
    await this.end(vm).catch((error: unknown) => this.#around.log.warn({ vm, err: error }, 'files of it remain'))
  }

  async endOf(image: MemoryImageId): Promise<void> {
    const ofIt = [...this.#all].filter(([, each]) => each?.image === image)
    await Promise.all(ofIt.map(([vm]) => this.end(vm)))
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#all.keys()].map(vm => this.end(vm)))
  }
}

function planOf(
  spec: MachineSpec,
  folder: MachineFolder,
  accelerator: Surroundings['accelerator'],
  { from, machineType, nics }: Resumption,
): MachinePlan {
  return { spec: { ...spec, nics }, folder, ports: {}, accelerator, machineType, from, waits: true }
}

/** Puts its disks in front of it, each through what was nothing until now. */
async function putDisks(machine: Machine, { disks }: MachineSpec): Promise<void> {
  const qmp = await machine.monitor()
  const nodes = [
    ...disks.flatMap(({ deviceId, chain }) => machineNodes(deviceId, chain)),
    seedNode(machine.found.folder),
  ]
  const drives = [
    ...disks.map(({ deviceId, chain }) => ({ device: diskId(deviceId), value: tipName(deviceId, chain) })),
    { device: seedId, value: seedName },
  ]
  // Sent at once, done in this order.
  await Promise.all([
    ...nodes.map(node => qmp.execute('blockdev-add', node)),
    ...drives.map(({ device, value }) =>
      qmp.execute('qom-set', { path: `/machine/peripheral/${device}`, property: 'drive', value }),
    ),
    ...drives.map(({ device }) => qmp.execute('blockdev-del', { 'node-name': laterName(device) })),
  ])
}
