// The four moves of the design on nodes of vSphere, by the operations beside this file.
import { parseId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Forest, SnapshotFacts } from '../forest.ts'
import { withoutForks } from '../forks-hidden.ts'
import { type Cluster, pathOf } from './cluster.ts'
import { shortenDisks } from './clean-up.ts'
import { readDisks } from './disk-facts.ts'
import { vsphereDevices } from './forest-devices.ts'
import { foreignInventory, inventoryNews } from './foreign.ts'
import { promoteDisks } from './instant-clone.ts'
import type { Machines } from './machines.ts'
import type { Nodes } from './nodes.ts'
import type { MachineRef, Ours } from './ours.ts'
import { destroyMachine } from './power.ts'
import { problems } from './problems.ts'
import { frozenFiles, standingOn } from './standing-on.ts'
import { tidyForks } from './forks.ts'
import { takeQuietly } from './quiesce.ts'
import { revertOnce } from './revert.ts'
import { type SnapshotNode, describeSnapshot, readSnapshots, removeSnapshot } from './snapshots.ts'
import { instant, makeSeed, spawn, startMachine } from './spawn.ts'
import { adoptTemplate, baseName } from './templates.ts'
import { isFault } from './vim25/faults.ts'
import { readObject } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

export function vsphereForest(cluster: Cluster, ours: Ours, nodes: Nodes, machines: Machines): Forest {
  const { vcenter, inventory } = cluster

  const news = inventoryNews(cluster, ours)

  function foreignNamed(foreign: string): MachineRef {
    if (!foreign.startsWith('/')) return `VirtualMachine:${foreign}`
    for (const [ref] of inventory.all('VirtualMachine')) if (pathOf(inventory, ref) === foreign) return ref
    throw unknownForeign(foreign)
  }

  async function adoptable(foreign: string): Promise<{ ref: MachineRef; host: Ref }> {
    const ref = foreignNamed(foreign)
    const paths = ['runtime.powerState', 'runtime.host', 'name'] as const
    const found = await readObject(vcenter.connection, ref, paths).catch(error => {
      throw isFault(error, 'ManagedObjectNotFound') ? unknownForeign(foreign) : error
    })
    if (found['runtime.powerState'] !== 'poweredOff') throw runs(found.name ?? foreign)
    if (found['runtime.host'] === undefined) throw problems.gone(`the host of ${foreign}`, undefined)
    return { ref, host: found['runtime.host'] }
  }

  return {
    inventory: async () => foreignInventory(cluster, ours),
    async adopt({ id }, foreign) {
      const { ref, host } = await adoptable(foreign)
      const base = await adoptTemplate(vcenter, ref, id, { pool: cluster.resourcePool, host })
      ours.remember(id, ref, base)
      return nodes.facts({ source: ref, snapshot: base.ref, node: base })
    },
    async disown({ id }) {
      const found = ours.template(id)
      ours.forgetTemplate(id)
      if (found) await describeSnapshot(vcenter, found[1].ref, null)
    },
    async fork(snapshot, { name, memory, quiesce }, following) {
      const vm = await machines.demand(snapshot.vm)
      const wish = { id: snapshot.id, name, memory, quiesce }
      const quiesced = await takeQuietly(vcenter, vm, wish, { ...following, vm: snapshot.vm })
      return { ...(await nodes.facts(await nodes.snapshot(snapshot))), quiesced }
    },
    async spawn(wanted, following) {
      const { vm, disks } = await spawn(cluster, nodes, wanted, following)
      ours.own(wanted.machine.vm, vm)
      return { disks }
    },
    async start(machine, signal) {
      const vm = await machines.demand(machine.vm)
      machines.knowHost(machine.host)
      await machines.power.during(vm, () => startMachine(cluster, vm, machine, signal))
      return machines.facts(machine.vm)
    },
    async instant(wanted, following) {
      machines.knowHost(wanted.machine.host)
      const source = await machines.demand(wanted.from.id)
      const { vm, ...made } = await instant(cluster, source, wanted, following)
      ours.own(wanted.machine.vm, vm)
      return { ...made, ...(await machines.facts(wanted.machine.vm)) }
    },
    async shorten(vm, operation, following) {
      const ref = await machines.demand(vm)
      await tidyForks(vcenter, nodes, ref, { ...following, vm })
      const way = await shortenDisks(vcenter, ref, operation, { ...following, vm })
      return { way, disks: await readDisks(vcenter, ref) }
    },
    async tidy(vm, following) {
      const ref = await ours.find(vm)
      return ref ? tidyForks(vcenter, nodes, ref, { ...following, vm }) : 0
    },
    async revert(snapshot, run, operation, following) {
      const { source, node } = await nodes.snapshot(snapshot)
      const options = { ...following, vm: snapshot.vm }
      await machines.power.during(source, () => revertOnce(vcenter, source, node, !run, operation, options))
      return machines.facts(snapshot.vm)
    },
    async prune(snapshot, following) {
      const vm = await ours.find(snapshot.vm)
      const found = vm && (await readSnapshots(vcenter, vm)).find(({ id }) => id === snapshot.id)
      if (!vm || !found) return
      const { disks } = await nodes.facts({ source: vm, snapshot: found.ref, node: found })
      const above = await standingOn(vcenter, vm, frozenFiles(disks))
      if (above !== null) throw problems.inUse('The VM snapshot', above)
      await removeSnapshot(vcenter, vm, found.ref, false, { ...following, vm: snapshot.vm })
    },
    async seed(seed, of, host, following) {
      machines.knowHost(host)
      await makeSeed(cluster, nodes, seed, of, host, following)
      return nodes.facts(await nodes.find(seed))
    },
    async unseed({ id }) {
      const vm = await ours.find(id)
      if (!vm) return
      const disks = (await readSnapshots(vcenter, vm)).some(({ name }) => name === baseName)
        ? (await nodes.facts(await nodes.find({ kind: 'seed', id }))).disks
        : []
      const above = await standingOn(vcenter, vm, frozenFiles(disks))
      if (above !== null) throw problems.seedInUse(above)
      await destroyMachine(vcenter, vm)
      ours.forget(id)
    },
    async flatten(vm, following) {
      const ref = await machines.demand(vm)
      await promoteDisks(vcenter, ref, { ...following, vm })
      return { disks: await readDisks(vcenter, ref) }
    },
    devices: vsphereDevices(cluster, machines),
    async disks(vm) {
      const ref = await ours.find(vm)
      return ref && (await readDisks(vcenter, ref))
    },
    async snapshots(vm) {
      const ref = await ours.find(vm)
      return ref && withoutForks((await readSnapshots(vcenter, ref)).map(snapshotFacts))
    },
    onInventoryChange: news,
    onTask: listener =>
      vcenter.onTask(({ task, method, vm, outcome }) => listener({ id: keyOf(task), name: method, vm, outcome })),
  }
}

function snapshotFacts(node: SnapshotNode): SnapshotFacts & { readonly isFork: boolean } {
  const { ref, id, name, parent, current, withMemory, createdAt, isFork } = node
  const ours = id === null ? null : parseId<'vm-snapshot'>(id)
  const [key, below] = [keyOf(ref), parent && keyOf(parent)]
  return { id: ours, key, name, parent: below, isCurrent: current, withMemory, createdAt, isFork }
}

/** As vSphere writes it: without its type. */
function keyOf(ref: Ref): string {
  return ref.slice(ref.indexOf(':') + 1)
}

function unknownForeign(foreign: string): Problem {
  return new Problem('invalid', 'unknown-foreign', `vSphere has no machine or template ${foreign}`)
}

function runs(name: string): Problem {
  return new Problem('refused', 'machine-running', `${name} runs; switch it off before it becomes a template`)
}
