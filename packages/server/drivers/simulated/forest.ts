// The moves on nodes of a simulated vCenter: what is a snapshot, a linked clone, a full one, in records.
import type { ForkId, VmSnapshotId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { ForeignInventory, ForeignMachine, Forest, NodeFacts, SnapshotFacts, Spawn } from '../forest.ts'
import { withoutForks } from '../forks-hidden.ts'
import { problems } from '../vsphere/problems.ts'
import { simulatedClones, takeFork } from './forest-clones.ts'
import {
  allDisks,
  demandKept,
  type Kept,
  type KeptSnapshot,
  keptAs,
  type Origin,
  originOf,
  put,
  removeKept,
  snapshotIn,
  standingOn,
} from './kept.ts'
import { copied, diskFacts, flattened, type KeptDisk, mergedAway, stackedOn } from './kept-disks.ts'
import { datastoreBytes, demandDatastore, demandHost, emptyKept, hostFacts, type Vcenter } from './vcenter.ts'
import { vcenterDevices } from './vcenter-devices.ts'
import { machineFacts } from './vcenter-machines.ts'

export function simulatedForest(vcenter: Vcenter): Forest {
  const { world, id, call, tasks } = vcenter

  return {
    inventory: async () => inventoryOf(vcenter),
    adopt: async (template, foreign, following) => {
      await call('forest.adopt')
      if (!keptAs(world, id, template.id))
        await tasks.copy('MarkAsTemplate', null, following, () =>
          put(world, { ...foreignIn(vcenter, foreign), as: { template: template.id }, isTemplate: true }),
        )
      return nodeFacts(originOf(world, id, template))
    },
    disown: async template => {
      await call('forest.disown')
      const kept = keptAs(world, id, template.id)
      if (kept) put(world, { ...kept, as: null })
    },
    fork: async ({ id: snapshot, vm }, wish, following) => {
      await call('forest.fork', 0, following.signal)
      const facts = () => ({
        ...nodeFacts(originOf(world, id, { kind: 'vm-snapshot', id: snapshot, vm })),
        quiesced: wish.quiesce && !wish.memory ? world.quiesced : null,
      })
      if (demandKept(world, id, vm).snapshots.some(each => each.id === snapshot)) return facts()
      return tasks.copy('CreateSnapshot_Task', vm, following, () => {
        put(world, withSnapshot(demandKept(world, id, vm), snapshot, wish.name, wish.memory))
        return facts()
      })
    },
    spawn: async (wanted, following) => {
      await call('forest.spawn', 0, following.signal)
      const { vm } = wanted.machine
      const made = keptAs(world, id, vm)
      if (made) return { disks: made.disks.map(diskFacts) }
      if (wanted.from.kind === 'fork') await takeFork(vcenter, wanted.from, following)
      return tasks.copy('CloneVM_Task', vm, following, () => ({ disks: spawn(vcenter, wanted).disks.map(diskFacts) }))
    },
    ...simulatedClones(vcenter),
    start: async (machine, signal) => {
      demandHost(vcenter, machine.host)
      await call('forest.start', world.behaviour.startMs, signal)
      const kept = demandKept(world, id, machine.vm)
      vcenter.hostIds.set(machine.host.name, machine.host.id)
      const networks = networksOf(vcenter, machine)
      const { cpus, memoryMib, host } = machine
      if (kept.power === 'off')
        await tasks.run('PowerOnVM_Task', machine.vm, () =>
          put(world, { ...kept, power: 'on', cpus, memoryMib, networks, host: host.id, memory: '' }),
        )
      return machineFacts(vcenter, machine.vm)
    },
    revert: async ({ id: snapshot, vm }, run, operation, following) => {
      await call('forest.revert', 0, following.signal)
      if (demandKept(world, id, vm).operation === operation) return machineFacts(vcenter, vm)
      return tasks.copy('RevertToSnapshot_Task', vm, following, () => {
        const kept = demandKept(world, id, vm)
        const { key, disks: frozen, memory, cpus, memoryMib } = snapshotIn(kept, snapshot)
        const goesOn = run && memory !== null
        const power = goesOn ? ('on' as const) : ('off' as const)
        const disks = frozen.map(disk => stackedOn(kept, disk, allDisks(kept)))
        put(world, { ...kept, disks, cpus, memoryMib, power, current: key, operation, memory: goesOn ? memory : '' })
        return machineFacts(vcenter, vm)
      })
    },
    prune: async ({ id: snapshot, vm }, following) => {
      await call('forest.prune', 0, following.signal)
      const gone = (kept: Kept | undefined) => kept?.snapshots.find(each => each.id === snapshot)
      if (!gone(keptAs(world, id, vm))) return
      await tasks.copy('RemoveSnapshot_Task', vm, following, () => {
        const kept = demandKept(world, id, vm)
        const removed = gone(kept)
        if (!removed) return
        const above = standingOn(world, kept, new Set(removed.disks.flatMap(({ files }) => files.at(-1) ?? [])))
        if (above !== undefined) throw problems.inUse('The VM snapshot', above)
        put(world, without(kept, removed))
      })
    },
    seed: async (seed, of, host, following) => {
      await call('forest.seed', 0, following.signal)
      if (!keptAs(world, id, seed.id))
        await tasks.copy('CloneVM_Task', of.vm, following, () => {
          demandHost(vcenter, host)
          const { disks: all, cpus, memoryMib } = originOf(world, id, of)
          const owner = { vcenter: id, name: `seed-${seed.id}` }
          const disks = all.filter(({ deviceId }) => deviceId === 0).map(disk => copied(owner, disk))
          const own = { ...owner, foreign: `${owner.name}@${id}`, as: { seed: seed.id }, disks, cpus, memoryMib }
          put(world, { ...emptyKept, ...own, isTemplate: true })
        })
      return nodeFacts(originOf(world, id, seed))
    },
    unseed: async seed => {
      await call('forest.unseed')
      const kept = keptAs(world, id, seed.id)
      if (kept) removeKept(world, kept)
    },
    flatten: async (vm, following) => {
      await call('forest.flatten', 0, following.signal)
      return tasks.copy('PromoteDisks_Task', vm, following, () => {
        const kept = demandKept(world, id, vm)
        const { disks } = put(
          world,
          overDisks(kept, disk => flattened(kept, disk)),
        )
        return { disks: disks.map(diskFacts) }
      })
    },
    devices: vcenterDevices(vcenter),
    disks: async vm => {
      await call('forest.disks')
      const kept = keptAs(world, id, vm)
      return kept ? kept.disks.map(diskFacts) : null
    },
    snapshots: async vm => {
      await call('forest.snapshots')
      const kept = keptAs(world, id, vm)
      return kept ? withoutForks(kept.snapshots.map(each => factsOfSnapshot(kept, each))) : null
    },
    onInventoryChange: listener => {
      world.watchers.add(listener)
      return () => world.watchers.delete(listener)
    },
    onTask: listener => tasks.listen(listener),
  }
}

function inventoryOf({ world, id, hosts, datastores, networks }: Vcenter): ForeignInventory {
  const isUp = (name: string) => !world.behaviour.hostsDown.includes(name)
  const space = { totalBytes: datastoreBytes, freeBytes: datastoreBytes / 2 }
  return {
    hosts: hosts.map(name => ({ name, state: isUp(name) ? 'Up' : 'Disconnected', facts: hostFacts })),
    pools: datastores.map(name => ({ path: name, name, type: 'VMFS', problem: null, ...space })),
    networks,
    machines: [...world.kept.values()]
      .filter(({ vcenter, as }) => vcenter === id && !isSeed(as) && !(as && 'volume' in as))
      .map(machineOf),
  }
}

function isSeed(as: Kept['as']): boolean {
  return as !== null && 'seed' in as
}

function machineOf({ foreign, name, isTemplate, power, as, snapshots }: Kept): ForeignMachine {
  return {
    foreign,
    path: `/DC/vm/${name}`,
    isTemplate,
    power,
    host: null,
    vm: as && 'vm' in as ? as.vm : null,
    guestOs: null,
    snapshots: snapshots.flatMap(({ id, isFork }) => (id === null || isFork ? [] : [id as VmSnapshotId])),
    foreignSnapshots: snapshots.flatMap(each => (each.id === null ? [each.name] : [])),
  }
}

function foreignIn({ world, id }: Vcenter, named: string): Kept {
  const found = [...world.kept.values()].find(
    each => each.vcenter === id && (each.foreign === named || machineOf(each).path === named),
  )
  if (!found)
    throw new Problem('invalid', 'unknown-foreign', `The simulated vCenter has no machine or template ${named}`)
  if (found.power === 'on')
    throw new Problem('refused', 'machine-running', `${named} runs; only one that is off can become a template`)
  if (found.as) throw new Problem('in-use', 'adopted-already', `${named} is something of this server's already`)
  return found
}

function nodeFacts({ disks, withMemory, cpus, memoryMib }: Origin): NodeFacts {
  return { disks: disks.map(diskFacts), withMemory, cpus, memoryMib }
}

function factsOfSnapshot({ current }: Kept, of: KeptSnapshot): SnapshotFacts & { readonly isFork: boolean } {
  const { key, name, parent, memory, createdAt, isFork = false } = of
  const id = of.id as VmSnapshotId | null
  return { id, key, name, parent, createdAt, isCurrent: key === current, withMemory: memory !== null, isFork }
}

function spawn(vcenter: Vcenter, { machine, from, pool, cloneType, rootBytes, disks: places }: Spawn): Kept {
  const { world, id } = vcenter
  demandHost(vcenter, machine.host)
  demandDatastore(vcenter, pool)
  const origin = originOf(world, id, from)
  const { vm, name, cpus, memoryMib } = machine
  const owner = { vcenter: id, name }
  const disks = origin.disks
    .filter(({ deviceId }) => places.includes(deviceId))
    .map(disk => (cloneType === 'full' ? copied(owner, disk) : stackedOn(owner, disk)))
    .map(disk => (disk.deviceId === 0 ? grown(disk, rootBytes, cloneType) : disk))
  const networks = networksOf(vcenter, machine)
  return put(world, { ...emptyKept, ...owner, foreign: `vm-${vm}@${id}`, as: { vm }, cpus, memoryMib, disks, networks })
}

function grown(disk: KeptDisk, bytes: number | null, cloneType: Spawn['cloneType']): KeptDisk {
  if (bytes === null || bytes <= disk.virtualBytes) return disk
  if (cloneType === 'linked') throw problems.linkedGrows()
  return { ...disk, virtualBytes: bytes }
}

export function networksOf({ networks }: Vcenter, { plugs }: Pick<Spawn['machine'], 'plugs'>): readonly string[] {
  for (const { network } of plugs) if (!networks.includes(network)) throw problems.noNetwork(network)
  return plugs.map(({ network }) => network)
}

/** With an id of ours, or somebody else's. */
export function withSnapshot(kept: Kept, id: VmSnapshotId | ForkId | null, name: string, memory: boolean): Kept {
  const { disks, cpus, memoryMib, current: parent } = kept
  const key = `snapshot-${id ?? `of-others-${kept.snapshots.length + 1}`}`
  const mind = memory && kept.power === 'on' ? kept.memory : null
  const made = { id, key, name, parent, createdAt: new Date().toISOString(), disks, memory: mind, cpus, memoryMib }
  const above = disks.map(disk => stackedOn(kept, disk, allDisks(kept)))
  return { ...kept, snapshots: [...kept.snapshots, made], current: key, disks: above }
}

/** What hung on the snapshot hangs on its parent; its files are merged into what stands on them. */
export function without(kept: Kept, { key, parent, disks }: KeptSnapshot): Kept {
  const snapshots = kept.snapshots
    .filter(each => each.key !== key)
    .map(each => (each.parent === key ? { ...each, parent } : each))
  const left = { ...kept, snapshots, current: kept.current === key ? parent : kept.current }
  const merges = disks.map(({ files }) => mergedAway(files.at(-1) ?? '', allDisks(left)))
  return overDisks(left, disk => merges.reduce((merged, merge) => merge(merged), disk))
}

function overDisks(kept: Kept, act: (disk: KeptDisk) => KeptDisk): Kept {
  const snapshots = kept.snapshots.map(each => ({ ...each, disks: each.disks.map(act) }))
  return { ...kept, disks: kept.disks.map(act), snapshots }
}
