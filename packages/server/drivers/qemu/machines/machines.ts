// All machines of this host. What is asked of one machine happens in turn; machines do not wait for each other.
import { identityProblems } from '@ramet/core/identity.ts'
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import type {
  Cut,
  CutFacts,
  Driver,
  MachineFacts,
  MachineSpec,
  MemoryImageFacts,
  MemoryImageRef,
  NicSpec,
  PowerChange,
  Progress,
} from '../../driver.ts'
import { activeLayers } from '../disks/active-layers.ts'
import { changeMedium } from '../disks/cdrom.ts'
import { setClock } from '../guest/clock.ts'
import { cutLog, tailOf } from './console.ts'
import { cutMachine } from './cut.ts'
import { customizeGuest } from '../guest/customize.ts'
import { attachDisk, detachDisk, growDisk } from '../disks/disks.ts'
import { attachNic, detachNic } from './nics.ts'
import { type FoundMachine, findMachines } from './find-machines.ts'
import { freezeMachine, isFrozen } from './freeze.ts'
import type { Installed } from '../host.ts'
import { dropSuccessor, listFolders, machineFolder, ownerOfFolder, settleSuccessor } from './machine-folder.ts'
import { Machine } from './machine.ts'
import type { Found } from './machine.ts'
import { beginLiveMerge, finishLiveMerge } from '../disks/merge-live.ts'
import type { QemuNetworks } from '../network/networks.ts'
import type { Accelerator, Log } from '../options.ts'
import type { Privileges } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { killAndWait } from '../process/process.ts'
import { inheritedNics, pullInheritedNics } from './inherited-nics.ts'
import { readImageFacts } from '../memory/memory-files.ts'
import type { MemoryImages } from '../memory/memory-images.ts'
import { heldBytes } from '../memory/held.ts'
import { dropRamFile } from '../memory/ram.ts'
import { removeFolder, removeRunning } from './remove-folder.ts'
import { isAsDescribed, replaceMachine } from './replace-machine.ts'
import { shapeOf } from './shape.ts'
import { runWarm, startMachine } from './start-machine.ts'
import { stopMachine } from './stop-machine.ts'
import { mergeEnded, type Stream, streamOf } from '../disks/stream-job.ts'
import { Turns } from './turns.ts'
import type { Warm } from '../../warm.ts'
import { awaitedBy } from './awaited.ts'
import { WarmMachines } from './warm-machines.ts'

export interface Surroundings {
  readonly runDirectory: string
  readonly installed: Installed
  readonly accelerator: Accelerator
  readonly privileges: Privileges
  readonly networks: QemuNetworks
  readonly images: MemoryImages
  readonly log: Log
}

const cutEveryMs = 10_000
const killLimitMs = 10_000

export class Machines {
  readonly #around: Surroundings
  readonly #running = new Map<VmId, Machine>()
  readonly #turns = new Turns<VmId>()
  readonly #listeners = new Set<(change: PowerChange) => void>()
  readonly #cutter: NodeJS.Timeout
  readonly warm: WarmMachines
  #firstLook: Promise<void> | null = null
  #closed = false

  constructor(around: Surroundings) {
    this.#around = around
    this.warm = new WarmMachines(around)
    this.#cutter = setInterval(() => void this.#cutLogs(), cutEveryMs).unref()
  }

  get calls(): Driver['machines'] {
    return {
      start: spec => this.#inTurn(spec.vm, () => this.#start(spec)),
      replace: spec => this.#inTurn(spec.vm, () => this.#replace(spec)),
      stop: (vm, graceMs, signal) => this.#inTurn(vm, () => this.#stop(vm, graceMs, signal)),
      attachDisk: async (vm, disk) => void (await this.#whileOn(vm, machine => attachDisk(machine, disk))),
      detachDisk: async (vm, disk, signal) =>
        void (await this.#whileOn(vm, machine => detachDisk(machine, disk, signal))),
      attachNic: async (vm, nic, hostname) => {
        await this.#whileOn(vm, machine => attachNic(machine, nic, hostname, this.#around.networks))
        return this.#facts(vm)
      },
      detachNic: (vm, nic, signal) => this.#detachNic(vm, nic, signal),
      growDisk: (vm, disk, bytes) => this.#whileOn(vm, machine => growDisk(machine, disk, bytes)),
      migrate: async () => {
        throw problems.oneHost()
      },
      changeMedium: async (vm, iso, force, signal) =>
        void (await this.#whileOn(vm, machine => changeMedium(machine, iso, force, signal))),
      activeLayers: async vm => {
        let active: ReadonlyMap<number, LayerId> | null = null
        await this.#whileOn(vm, async machine => void (active = await activeLayers(machine)))
        return active
      },
      cut: (vm, cut, progress, signal) => this.#inTurn(vm, () => this.#cut(vm, cut, progress, signal)),
      merge: (vm, { deviceId, chain }, merge, progress, signal) =>
        this.#merge(vm, streamOf(deviceId, chain, merge), progress, signal),
      freeze: (vm, image, progress, signal) => this.#inTurn(vm, () => this.#freeze(vm, image, progress, signal)),
      pullInheritedNics: async (vm, signal) => {
        let held: readonly number[] = []
        await this.#whileOn(vm, async machine => void (held = await pullInheritedNics(machine, signal)))
        return held
      },
      getVmSnapshotConfigs: ({ recorded, memory }) => this.#around.images.configIn(memory, recorded),
      setClock: async (vm, limitMs) => {
        await this.#seen()
        const machine = this.#running.get(vm)
        return machine?.alive ? setClock(machine, limitMs) : 'agent-missing'
      },
      customize: async (vm, identity, limitMs, signal) => {
        await this.#seen()
        const machine = this.#running.get(vm)
        return machine?.alive ? customizeGuest(machine, identity, limitMs, signal) : [identityProblems.noAgent]
      },
      discard: vm => this.#inTurn(vm, () => this.#discard(vm)),
      facts: async vm => {
        await this.#seen()
        return this.#facts(vm)
      },
      heldMemory: async vm => {
        await this.#seen()
        const machine = this.#running.get(vm)
        return machine?.alive ? heldBytes(machine.found.process) : null
      },
      list: () => this.#list(),
      consoleLog: (vm, maxBytes) => tailOf(this.#folder(vm).console, maxBytes),
      adopt: async () => {
        await this.#look()
        return [...this.#running.keys()].map(vm => this.#facts(vm))
      },
    }
  }

  get warmCalls(): Warm {
    return {
      prepare: spec => this.#inTurn(spec.vm, () => this.warm.prepare(spec)),
      end: vm => this.#inTurn(vm, () => this.warm.end(vm)),
      waiting: () => this.warm.waiting(),
    }
  }

  listen(listener: (change: PowerChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#cutter)
    for (const machine of this.#running.values()) machine.release()
  }

  #folder(vm: VmId) {
    return machineFolder(this.#around.runDirectory, vm)
  }

  /** Nothing is decided about a machine before those that an earlier server left were looked for. */
  async #inTurn<T>(vm: VmId, act: () => Promise<T>): Promise<T> {
    await this.#seen()
    return this.#turns.take(vm, act)
  }

  #seen(): Promise<void> {
    return (this.#firstLook ??= this.#look(true))
  }

  async #look(isFirst = false): Promise<void> {
    const found = await findMachines(this.#around.runDirectory)
    const unknown = [...found.values()].filter(({ folder }) => !this.#running.has(folder.vm))
    await Promise.all(unknown.map(each => this.#turns.take(each.folder.vm, () => this.#adopt(each))))
    if (isFirst) await this.#sweep()
  }

  /** What an earlier server kept waiting, and whose process ended with it or is none any more. */
  async #sweep(): Promise<void> {
    for (const vm of await listFolders(this.#around.runDirectory)) {
      const folder = this.#folder(vm)
      if (!this.#running.has(vm) && !this.warm.has(vm) && (await awaitedBy(folder))) await removeFolder(folder)
    }
  }

  async #adopt(found: FoundMachine): Promise<void> {
    const { vm } = found.folder
    if (this.#running.has(vm) || this.warm.has(vm)) return // started by us while we looked
    const { folder, isSuccessor, isLost, others } = found
    if (await awaitedBy(folder)) {
      for (const each of [found.process, ...others]) await killAndWait(each, killLimitMs)
      return removeFolder(folder)
    }
    // Both have the disks open: the one that the machine is now may only go on when the other is gone.
    for (const other of others) await killAndWait(other, killLimitMs)
    if (isLost || (await isFrozen(folder))) {
      if (await killAndWait(found.process, killLimitMs)) await removeRunning(folder)
      return
    }
    await (isSuccessor ? settleSuccessor(folder) : dropSuccessor(folder))
    if (isSuccessor) await dropRamFile(folder.ram) // what it goes on from is an image
    const machine = this.#watch(found)
    if (!machine.alive) return
    await machine.record().catch(() => {}) // its folder may be gone
    this.#around.log.info({ vm, pid: found.process.pid }, 'a machine is found running')
  }

  #watch(found: Found): Machine {
    const machine = new Machine(found, this.#around.log)
    this.#enlist(machine)
    return machine
  }

  #enlist(machine: Machine): void {
    this.#running.set(machine.vm, machine)
    void machine.gone.then(reason => this.#onGone(machine, reason))
  }

  #onGone(machine: Machine, reason: string): void {
    if (this.#closed) return
    const { vm, quiet } = machine
    const change: PowerChange = { vm, power: 'off', reason }
    if (!quiet) for (const listener of this.#listeners) listener(change)
    this.#around.log.info({ vm, reason }, 'a machine went off')
    this.#turns
      .take(vm, () => this.#forget(machine))
      .catch((error: unknown) => this.#around.log.warn({ vm, err: error }, 'files of a stopped machine remain'))
  }

  async #forget(machine: Machine): Promise<void> {
    if (this.#running.get(machine.vm) !== machine) return
    this.#running.delete(machine.vm)
    await removeRunning(machine.found.folder)
  }

  async #start(spec: MachineSpec): Promise<MachineFacts> {
    const known = this.#running.get(spec.vm)
    if (known?.alive) {
      await known.run(spec.isClone ? inheritedNics(await shapeOf(known)) : spec.nics)
      return this.#facts(spec.vm)
    }
    if (known) await this.#forget(known)
    if (!(await this.#startWarm(spec))) await startMachine(spec, this.#around, found => this.#watch(found))
    return this.#facts(spec.vm)
  }

  async #startWarm(spec: MachineSpec): Promise<boolean> {
    const ready = await this.warm.take(spec)
    if (!ready) return false
    this.#enlist(ready.machine)
    await runWarm(ready.machine, ready.resumption.nics, this.#around)
    return true
  }

  async #replace(spec: MachineSpec): Promise<MachineFacts> {
    const machine = this.#running.get(spec.vm)
    if (machine?.alive && !(await isAsDescribed(machine, spec))) {
      const become = (next: Machine) => this.#enlist(next)
      if (await replaceMachine(machine, spec, this.#around, become)) return this.#facts(spec.vm)
      await this.#stop(spec.vm, 0, new AbortController().signal)
    }
    return this.#start(spec)
  }

  async #stop(vm: VmId, graceMs: number, signal: AbortSignal): Promise<void> {
    await this.warm.end(vm)
    const machine = this.#running.get(vm)
    if (!machine) return
    if (machine.alive) await stopMachine(machine, graceMs, signal)
    await this.#forget(machine)
  }

  async #discard(vm: VmId): Promise<void> {
    await this.warm.end(vm)
    const machine = this.#running.get(vm)
    if (machine?.alive) throw problems.stillRunning(vm)
    if (machine) await this.#forget(machine)
    await this.#around.networks.dismiss(vm)
    await removeFolder(this.#folder(vm))
  }

  async #cut(vm: VmId, cut: Cut, progress: Progress, signal: AbortSignal): Promise<CutFacts> {
    const machine = this.#running.get(vm)
    if (!machine?.alive) throw problems.machineOff(vm)
    const identity = await ownerOfFolder(machine.found.folder)
    try {
      const { images, accelerator, log } = this.#around
      const become = (next: Machine) => this.#enlist(next)
      return await cutMachine(machine, cut, { images, accelerator, identity, log, become, progress, signal })
    } catch (error) {
      const now = this.#running.get(vm) ?? machine
      throw (await now.survives(error)) ? error : problems.machineOff(vm)
    }
  }

  async #detachNic(vm: VmId, nic: NicSpec, signal: AbortSignal): Promise<void> {
    const { networks } = this.#around
    const wasOn = await this.#whileOn(vm, machine => detachNic(machine, nic, networks, signal))
    if (!wasOn && nic.kind === 'network') await networks.calls.release(nic.network.id, nic.id)
  }

  async #freeze(vm: VmId, image: MemoryImageRef, progress: Progress, signal: AbortSignal): Promise<MemoryImageFacts> {
    const { images } = this.#around
    const machine = this.#running.get(vm)
    if (!machine?.alive) {
      const earlier = await readImageFacts(await images.find(image))
      if (!earlier) throw problems.machineOff(vm)
      await removeRunning(this.#folder(vm)) // its server may have been killed before that
      return earlier
    }
    const identity = await ownerOfFolder(machine.found.folder)
    const facts = await freezeMachine(machine, images.inHost(image), identity, progress, signal)
    await this.#forget(machine)
    return facts
  }

  /** What QEMU does in between takes minutes, and nobody waits for his turn meanwhile. */
  async #merge(vm: VmId, stream: Stream, progress: Progress, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    let isBegun = false
    if (!(await this.#whileOn(vm, async machine => void (isBegun = await beginLiveMerge(machine, stream)))))
      return false
    if (!isBegun) return true
    const machine = this.#running.get(vm)
    try {
      if (machine) await mergeEnded(await machine.monitor(), stream, progress, signal)
    } catch (error) {
      if (await machine?.survives(error)) throw error
    }
    return this.#whileOn(vm, each => finishLiveMerge(each, stream))
  }

  /** False when the machine is off, or goes off meanwhile. */
  #whileOn(vm: VmId, act: (machine: Machine) => Promise<void>): Promise<boolean> {
    return this.#inTurn(vm, async () => {
      const machine = this.#running.get(vm)
      if (!machine?.alive) return false
      try {
        await act(machine)
        return true
      } catch (error) {
        if (await machine.survives(error)) throw error
        return false
      }
    })
  }

  #facts(vm: VmId): MachineFacts {
    const machine = this.#running.get(vm)
    if (!machine?.alive) return { vm, power: 'off', host: null, sshPorts: {} }
    return { vm, power: 'on', host: null, sshPorts: machine.sshPorts }
  }

  async #list(): Promise<MachineFacts[]> {
    await this.#look()
    const ids = new Set([...this.#running.keys(), ...(await listFolders(this.#around.runDirectory))])
    return [...ids].filter(vm => !this.warm.has(vm)).map(vm => this.#facts(vm))
  }

  async #cutLogs(): Promise<void> {
    for (const { found } of this.#running.values())
      await Promise.all([cutLog(found.folder.console), cutLog(found.folder.log)]).catch((error: unknown) =>
        this.#around.log.warn({ vm: found.folder.vm, err: error }, 'a log could not be cut'),
      )
  }
}
