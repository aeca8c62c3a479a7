// The moves on nodes of a simulated vCenter: what is a snapshot, a linked clone, a full one, in records. Each act is a task that is told
// of, with a number, as a vCenter's are.
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { MachineFacts } from '../driver.ts'
import type {
  Following,
  ForeignInventory,
  ForeignMachine,
  ForeignTask,
  Forest,
  NodeFacts,
  SnapshotFacts,
  Spawn,
} from '../forest.ts'
import {
  demandKept,
  disksFrom,
  factsOfDisks,
  type Kept,
  type KeptSnapshot,
  keptAs,
  type Origin,
  originOf,
  put,
  snapshotIn,
} from './kept.ts'
import { copying } from './layers.ts'
import { datastoreBytes, emptyKept, hostFacts, removeKept, type Vcenter } from './vcenter.ts'
import { isDown } from './world.ts'

export function simulatedForest(vcenter: Vcenter): Forest {
  const { world, id, call } = vcenter
  const tasks = new Set<(task: ForeignTask) => void>()
  let count = 0

  /** A task: what it changes, it changes at its end. */
  async function task<T>(name: string, vm: VmId | null, { progress, signal }: Following, act: () => T): Promise<T> {
    const tell = (outcome: string | null) => tasks.forEach(each => each({ id: `task-${number}`, name, vm, outcome }))
    const number = ++count
    tell(null)
    try {
      await copying(world, progress, signal)
      const result = act()
      tell('success')
      return result
    } catch (error) {
      tell(error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  return {
    inventory: async () => inventoryOf(vcenter),
    adopt: async (template, foreign, following) => {
      await call('forest.adopt')
      const known = keptAs(world, id, template.id)
      if (known) return nodeFacts(originOf(world, id, template))
      const found = foreignIn(vcenter, foreign)
      return task('MarkAsTemplate', null, following, () => {
        put(world, { ...found, as: { template: template.id }, isTemplate: true })
        return nodeFacts(originOf(world, id, template))
      })
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
      return task('CreateSnapshot_Task', vm, following, () => {
        const kept = demandKept(world, id, vm)
        const { disks, cpus, memoryMib, current } = kept
        const memory = wish.memory && kept.power === 'on' ? kept.memory : null
        const key = `snapshot-${snapshot}`
        const createdAt = new Date().toISOString()
        const made = { id: snapshot, key, name: wish.name, parent: current, createdAt, disks, memory, cpus, memoryMib }
        put(world, { ...kept, snapshots: [...kept.snapshots, made], current: key })
        return facts()
      })
    },
    spawn: async (wanted, following) => {
      await call('forest.spawn', 0, following.signal)
      const { vm } = wanted.machine
      const made = keptAs(world, id, vm)
      if (made) return { disks: factsOfDisks(made) }
      return task('CloneVM_Task', vm, following, () => ({ disks: factsOfDisks(spawn(vcenter, wanted)) }))
    },
    instant: async () => {
      throw new Problem('unsupported', 'no-instant-clone', 'The simulated vCenter makes no instant clones')
    },
    start: async (machine, signal) => {
      demandUp(vcenter, machine.host)
      await call('forest.start', world.behaviour.startMs, signal)
      const kept = demandKept(world, id, machine.vm)
      vcenter.hostIds.set(machine.host.name, machine.host.id)
      const { cpus, memoryMib, plugs, host } = machine
      const networks = plugs.map(({ network }) => network)
      if (kept.power === 'off')
        put(world, { ...kept, power: 'on', cpus, memoryMib, networks, host: host.id, memory: '' })
      return factsOf(vcenter, machine.vm)
    },
    revert: async ({ id: snapshot, vm }, run, operation, following) => {
      await call('forest.revert', 0, following.signal)
      if (demandKept(world, id, vm).operation === operation) return factsOf(vcenter, vm)
      return task('RevertToSnapshot_Task', vm, following, () => {
        const kept = demandKept(world, id, vm)
        const { key, disks, memory, cpus, memoryMib } = snapshotIn(kept, snapshot)
        const goesOn = run && memory !== null
        const power = goesOn ? ('on' as const) : ('off' as const)
        put(world, { ...kept, disks, cpus, memoryMib, power, current: key, operation, memory: goesOn ? memory : '' })
        return factsOf(vcenter, vm)
      })
    },
    prune: async ({ id: snapshot, vm }, following) => {
      await call('forest.prune', 0, following.signal)
      const gone = (kept: Kept | undefined) => kept?.snapshots.find(each => each.id === snapshot)
      if (!gone(keptAs(world, id, vm))) return
      await task('RemoveSnapshot_Task', vm, following, () => {
        const kept = demandKept(world, id, vm)
        const removed = gone(kept)
        if (removed) put(world, without(kept, removed))
      })
    },
    seed: async (seed, of, host, following) => {
      await call('forest.seed', 0, following.signal)
      if (!keptAs(world, id, seed.id))
        await task('CloneVM_Task', of.vm, following, () => {
          const origin = originOf(world, id, of)
          const disks = disksFrom({ ...origin, disks: origin.disks.slice(0, 1) }, 'full', null)
          const name = `seed-${seed.id}`
          const own = { foreign: `${name}@${id}`, vcenter: id, name, as: { seed: seed.id }, host: host.id, disks }
          put(world, { ...emptyKept, ...own, isTemplate: true, cpus: origin.cpus, memoryMib: origin.memoryMib })
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
      return task('PromoteDisks_Task', vm, following, () => {
        const kept = demandKept(world, id, vm)
        const alone = kept.disks.map(disk => ({ ...disk, below: 0 }))
        const snapshots = kept.snapshots.map(each => ({
          ...each,
          disks: each.disks.map(disk => ({ ...disk, below: 0 })),
        }))
        return { disks: factsOfDisks(put(world, { ...kept, disks: alone, snapshots, standsOn: null })) }
      })
    },
    disks: async vm => {
      await call('forest.disks')
      const kept = keptAs(world, id, vm)
      return kept ? factsOfDisks(kept) : null
    },
    snapshots: async vm => {
      await call('forest.snapshots')
      const kept = keptAs(world, id, vm)
      return kept ? kept.snapshots.map(each => factsOfSnapshot(kept, each)) : null
    },
    onInventoryChange: listener => {
      world.behaved.add(listener)
      return () => world.behaved.delete(listener)
    },
    onTask: listener => {
      tasks.add(listener)
      return () => tasks.delete(listener)
    },
  }
}

function inventoryOf({ world, id, hosts, datastores }: Vcenter): ForeignInventory {
  const isUp = (name: string) => !world.behaviour.hostsDown.includes(name)
  const space = { totalBytes: datastoreBytes, freeBytes: datastoreBytes / 2 }
  return {
    hosts: hosts.map(name => ({ name, state: isUp(name) ? 'Up' : 'Disconnected', facts: hostFacts })),
    pools: datastores.map(name => ({ path: name, name, type: 'VMFS', problem: null, ...space })),
    networks: ['VM Network', 'lab'],
    machines: [...world.kept.values()].filter(({ vcenter }) => vcenter === id).map(machineOf),
  }
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

function nodeFacts({ kept, disks, withMemory, cpus, memoryMib }: Origin): NodeFacts {
  return { disks: factsOfDisks(kept, disks), withMemory, cpus, memoryMib }
}

function factsOfSnapshot({ current }: Kept, { id, key, name, parent, memory, createdAt }: KeptSnapshot): SnapshotFacts {
  return { id, key, name, parent, createdAt, isCurrent: key === current, withMemory: memory !== null }
}

function spawn(vcenter: Vcenter, { machine, from, cloneType, rootBytes, disks }: Spawn): Kept {
  const { world, id } = vcenter
  demandUp(vcenter, machine.host)
  const origin = originOf(world, id, from)
  const { vm, name, cpus, memoryMib } = machine
  const wanted = { ...origin, disks: origin.disks.filter(({ deviceId }) => disks.includes(deviceId)) }
  return put(world, {
    ...emptyKept,
    foreign: `vm-${vm}@${id}`,
    vcenter: id,
    name,
    as: { vm },
    cpus,
    memoryMib,
    disks: disksFrom(wanted, cloneType, rootBytes),
    networks: machine.plugs.map(({ network }) => network),
    standsOn: cloneType === 'linked' ? origin.kept.foreign : null,
  })
}

/** What hung on the snapshot hangs on its parent. */
function without(kept: Kept, { key, parent }: KeptSnapshot): Kept {
  const snapshots = kept.snapshots
    .filter(each => each.key !== key)
    .map(each => (each.parent === key ? { ...each, parent } : each))
  return { ...kept, snapshots, current: kept.current === key ? parent : kept.current }
}

function demandUp({ world, hosts }: Vcenter, host: Spawn['machine']['host']): void {
  if (!hosts.includes(host.name) || isDown(world, host))
    throw new Problem('unavailable', 'host-silent', `Host ${host.name} does not answer`)
}

function factsOf({ world, id }: Vcenter, vm: VmId): MachineFacts {
  const { power, host } = demandKept(world, id, vm)
  return { vm, power, host: power === 'on' ? host : null, sshPorts: {} }
}
