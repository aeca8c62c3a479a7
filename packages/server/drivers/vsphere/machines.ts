// What is done with a machine of ours, whatever it was made of.
import type { HostId, VmId, VmSnapshotId } from '@ramet/core/ids.ts'
import { setTimeout as delay } from 'node:timers/promises'
import { Problem } from '@ramet/core/problem.ts'
import type { ClockOutcome, Driver, HostRef, MachineFacts } from '../driver.ts'
import { noLayeredMachines } from '../own-disks.ts'
import type { Cluster } from './cluster.ts'
import type { Nodes } from './nodes.ts'
import type { MachineRef, Ours } from './ours.ts'
import { asPower, destroyMachine, moveToHost, powerOff } from './power.ts'
import { PowerWatch } from './power-watch.ts'
import { problems, telling } from './problems.ts'
import { demandNoRest, hasDataDisks, ownDataDisks } from './data-disks.ts'
import { withoutDisks } from './devices.ts'
import { readSnapshots, removeAllSnapshots, snapshotTree } from './snapshots.ts'
import { ownFiles, standingOn } from './standing-on.ts'
import { isFault } from './vim25/faults.ts'
import { type Properties, readObject, readObjects } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

const paths = ['runtime.powerState', 'runtime.host'] as const
type Found = Properties<'VirtualMachine', (typeof paths)[number]>

export class Machines {
  readonly power: PowerWatch
  readonly #cluster: Cluster
  readonly #ours: Ours
  readonly #nodes: Nodes
  /** The server's ids of hosts, by their names, as far as it spoke of them. */
  readonly #hosts = new Map<string, HostId>()

  constructor(cluster: Cluster, ours: Ours, nodes: Nodes) {
    this.#cluster = cluster
    this.#ours = ours
    this.#nodes = nodes
    const read = async (vm: MachineRef) => asPower((await this.#read(vm))['runtime.powerState'])
    this.power = new PowerWatch(cluster.inventory, ours, read)
  }

  knowHost({ id, name }: HostRef): void {
    this.#hosts.set(name, id)
  }

  async demand(vm: VmId): Promise<MachineRef> {
    const found = await this.#ours.find(vm)
    if (!found) throw problems.gone('the machine', undefined)
    return found
  }

  async facts(vm: VmId): Promise<MachineFacts> {
    const ref = await this.#ours.find(vm)
    if (!ref) return this.#factsOf(vm, {})
    try {
      return this.#factsOf(vm, await this.#read(ref))
    } catch (error) {
      if (!isFault(error, 'ManagedObjectNotFound')) throw error
      return this.#factsOf(vm, {})
    }
  }

  async list(): Promise<MachineFacts[]> {
    const all = await this.#ours.machines()
    const { connection } = this.#cluster.vcenter
    const refs = all.map(([ref]) => ref)
    const found = await readObjects(connection, 'VirtualMachine', refs, paths)
    return all.flatMap(([ref, vm]) => {
      const one = found.get(ref)
      return one ? [this.#factsOf(vm, one)] : []
    })
  }

  calls(): Driver['machines'] {
    return {
      ...noLayeredMachines,
      stop: (vm, graceMs, signal) => this.#stop(vm, graceMs, signal),
      migrate: (vm, to, signal) => this.#migrate(vm, to, signal),
      getVmSnapshotConfigs: async ({ id, vm }) => this.#configOf(vm, id),
      setClock: vm => this.#clock(vm),
      changeMedium: async (_vm, iso) => {
        if (iso) throw problems.noIso()
      },
      discard: vm => this.#discard(vm),
      facts: vm => this.facts(vm),
      list: () => this.list(),
      heldMemory: async () => null,
      consoleLog: async () => new Uint8Array(),
      adopt: async () => (await this.list()).filter(({ power }) => power === 'on'),
    }
  }

  #read(ref: MachineRef): Promise<Found> {
    return readObject(this.#cluster.vcenter.connection, ref, paths)
  }

  #factsOf(vm: VmId, found: Found): MachineFacts {
    const power = asPower(found['runtime.powerState'])
    const name = this.#nameOf(found['runtime.host'])
    return { vm, power, host: power === 'on' ? (this.#hosts.get(name) ?? null) : null, sshPorts: {} }
  }

  #nameOf(host: Ref | undefined): string {
    return this.#cluster.inventory.get((host ?? 'HostSystem:') as Ref<'HostSystem'>)?.name ?? ''
  }

  async #stop(vm: VmId, graceMs: number, signal: AbortSignal): Promise<void> {
    const ref = await this.#ours.find(vm)
    if (!ref) return
    const { vcenter } = this.#cluster
    await this.power.during(ref, async () => {
      if (graceMs > 0) await this.#askGuest(ref, graceMs, signal)
      await powerOff(vcenter, ref, { signal, vm })
    })
  }

  /** A guest without VMware's tools hears nothing, so nobody waits for it. */
  #askGuest(ref: MachineRef, graceMs: number, signal: AbortSignal): Promise<void> {
    return telling('The machine', async () => {
      try {
        await this.#cluster.vcenter.call(ref, 'ShutdownGuest', {})
      } catch (error) {
        if (isFault(error, 'ToolsUnavailable', 'InvalidState')) return
        throw error
      }
      const deadline = Date.now() + graceMs
      while (Date.now() < deadline && asPower((await this.#read(ref))['runtime.powerState']) === 'on')
        await delay(Math.min(500, graceMs), undefined, { signal })
    })
  }

  async #migrate(vm: VmId, to: HostRef, signal: AbortSignal): Promise<MachineFacts> {
    this.knowHost(to)
    const ref = await this.#ours.find(vm)
    if (!ref || (await this.facts(vm)).power === 'off')
      throw new Problem('refused', 'machine-off', 'The machine is off; only a running one can move to another host')
    signal.throwIfAborted()
    await moveToHost(this.#cluster.vcenter, ref, this.#cluster.hostAtWork(to.name), { signal, vm })
    return this.facts(vm)
  }

  async #configOf(vm: VmId, id: VmSnapshotId) {
    const { cpus, memoryMib } = await this.#nodes.facts(await this.#nodes.snapshot({ kind: 'vm-snapshot', id, vm }))
    return { cpus, memoryMib }
  }

  /** VMware's tools set the guest's clock themselves when it goes on from a snapshot. */
  async #clock(vm: VmId): Promise<ClockOutcome> {
    const { connection } = this.#cluster.vcenter
    const found = await readObject(connection, await this.demand(vm), ['guest.toolsRunningStatus'])
    return found['guest.toolsRunningStatus'] === 'guestToolsRunning' ? 'set' : 'agent-missing'
  }

  async #discard(vm: VmId): Promise<void> {
    const ref = await this.#ours.find(vm)
    if (!ref) return
    const { vcenter } = this.#cluster
    if ((await this.facts(vm)).power === 'on')
      throw new Problem('refused', 'machine-running', 'The machine runs; stop it before it is discarded')
    await this.#demandNothingAbove(ref)
    await this.#letGoOfDataDisks(vm, ref)
    await this.power.during(ref, () => destroyMachine(vcenter, ref, { vm }))
    this.#ours.forget(vm)
  }

  /** Linked clones stand on what a snapshot froze, and instant clones of a running machine have it leave files behind. */
  async #demandNothingAbove(ref: MachineRef): Promise<void> {
    const { vcenter } = this.#cluster
    const wanted = ['snapshot', 'config.hardware.device'] as const
    const { snapshot, 'config.hardware.device': devices = [] } = await readObject(vcenter.connection, ref, wanted)
    const files = ownFiles(devices)
    if (snapshotTree(snapshot).length === 0 && files.every(({ length }) => length < 2)) return
    const above = await standingOn(vcenter, ref, new Set(files.flat()))
    if (above !== null) throw problems.inUse('The machine', above)
  }

  /** vSphere removes the files of all disks that a machine has; data disks are their owner's, and stay. */
  async #letGoOfDataDisks(vm: VmId, ref: MachineRef): Promise<void> {
    const { vcenter } = this.#cluster
    const read = async () =>
      (await readObject(vcenter.connection, ref, ['config.hardware.device']))['config.hardware.device'] ?? []
    if (!hasDataDisks(await read())) return
    if ((await readSnapshots(vcenter, ref)).length > 0) await removeAllSnapshots(vcenter, ref, { vm })
    const devices = await read()
    await demandNoRest(vcenter, ref, devices)
    const deviceChange = withoutDisks(ownDataDisks(devices))
    if (deviceChange.length === 0) return
    await telling('The machine', () => vcenter.run(ref, 'ReconfigVM_Task', { spec: { deviceChange } }, { vm }))
  }
}
