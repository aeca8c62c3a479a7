// Cuts and merges of simulated machines, and what tests write into their disks and memory to see that nothing is lost.
import { identityProblems } from '@ramet/core/identity.ts'
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Cut, CutFacts, Driver, LayerChain, LayerFacts, LayerRef, Merge } from '../driver.ts'
import type { Calling } from './calling.ts'
import { copying, demandLayers, layerIn, overlayBytes } from './layers.ts'
import { factsOfMemory, saveMemory } from './memory.ts'
import { type Blocks, change, runningIn, type SimulatedMachine, type World } from './world.ts'

type Snapshots = Pick<
  Driver['machines'],
  'activeLayers' | 'cut' | 'freeze' | 'pullInheritedNics' | 'merge' | 'getVmSnapshotConfigs' | 'setClock' | 'customize'
>

export function simulatedSnapshots(world: World, call: Calling): Snapshots {
  return {
    activeLayers: async vm => {
      await call('machines.activeLayers')
      const machine = runningIn(world, vm)
      return machine ? new Map(Object.entries(machine.disks).map(([place, layer]) => [Number(place), layer])) : null
    },
    cut: async (vm, wanted, progress, signal) => {
      await call('machines.cut', 0, signal)
      const machine = runningIn(world, vm)
      if (!machine) throw new Problem('refused', 'machine-off', `Machine ${vm} is off; its disks need no cut`)
      if (wanted.memory) await copying(world, progress, signal)
      return cut(world, machine, wanted)
    },
    freeze: async (vm, image, progress, signal) => {
      await call('machines.freeze', 0, signal)
      const machine = runningIn(world, vm)
      const earlier = world.memory.get(image.id)
      if (!machine && earlier) return factsOfMemory(earlier)
      if (!machine) throw new Problem('refused', 'machine-off', `Machine ${vm} is off; only a running one is frozen`)
      await copying(world, progress, signal)
      const facts = saveMemory(world, image, machine, true)
      change(world, { machine: { ...machine, power: 'off' } })
      return facts
    },
    pullInheritedNics: async (vm, signal) => {
      await call('machines.pullInheritedNics', 0, signal)
      const machine = runningIn(world, vm)
      if (!machine) return []
      const inherited = (machine.inherited ?? []).filter(place => world.heldNics.includes(place))
      change(world, { machine: { ...machine, inherited } })
      return inherited
    },
    merge: async (vm, { chain }, merge, progress, signal) => {
      await call('machines.merge', 0, signal)
      if (!runningIn(world, vm)) return false
      if (isMerged(world, chain, merge)) return true
      await copying(world, progress, signal, merge.bytesPerSecond)
      if (!runningIn(world, vm)) return false
      mergeLayers(world, chain, merge)
      return true
    },
    getVmSnapshotConfigs: async ({ recorded, memory }) => {
      await call('machines.getVmSnapshotConfigs')
      const { cpus, memoryMib } = (memory && world.memory.get(memory.id)) ?? recorded
      return { cpus, memoryMib }
    },
    setClock: async vm => {
      await call('machines.setClock')
      return runningIn(world, vm) ? 'set' : 'agent-missing'
    },
    customize: async (vm, { instanceId, hostname }, _limitMs, signal) => {
      await call('machines.customize', 0, signal)
      signal.throwIfAborted()
      const machine = runningIn(world, vm)
      if (!machine) return [identityProblems.noAgent]
      if (!world.identityProblems.includes(identityProblems.noAgent))
        change(world, { machine: { ...machine, guest: { instanceId, hostname } } })
      return world.identityProblems
    },
  }
}

function cut(
  world: World,
  of: SimulatedMachine,
  { disks, memory, quiesce, inHostMemory = false, machine }: Cut,
): CutFacts {
  const isDone = ({ disk, layer }: Cut['disks'][number]) => of.disks[disk.deviceId] === layer.id
  const saved = memory && world.memory.get(memory.id)
  if (disks.every(isDone)) {
    if (memory && !saved)
      throw new Problem(
        'refused',
        'memory-not-saved',
        'The disks were cut, but the memory of that instant was not saved',
      )
    return { stunMs: null, quiesced: null, memory: saved ? factsOfMemory(saved) : null }
  }
  for (const { disk, layer } of disks) {
    demandLayers(world, [...disk.chain, layer])
    if (of.disks[disk.deviceId] !== layerIn(world, disk.chain).id)
      throw new Problem('refused', 'other-layer', `Disk ${disk.deviceId} does not write the layer that was to be cut`)
  }
  const facts = memory ? saveMemory(world, memory, of, inHostMemory) : null
  const layers = Object.fromEntries(disks.map(({ disk, layer }) => [disk.deviceId, layer.id]))
  change(world, { machine: { ...of, disks: { ...of.disks, ...layers } } })
  const done = { stunMs: 1, quiesced: quiesce ? world.quiesced : null, memory: facts }
  return facts ? { ...done, way: machine ? 'successor' : 'copy' } : done
}

export function mergeLayers(world: World, chain: LayerChain, merge: Merge): LayerFacts {
  const into = layerIn(world, [merge.into])
  if (isMerged(world, chain, merge)) return into
  const between = betweenIn(chain, merge).map(each => layerIn(world, [each]))
  const layer = {
    ...into,
    base: merge.onto?.id ?? null,
    allocatedBytes: between.reduce((sum, each) => sum + contentBytes(each), into.allocatedBytes),
    blocks: Object.assign({}, ...[...between, into].map(({ blocks }) => blocks)) as Blocks,
  }
  change(world, { layer })
  return layer
}

/** Without the tables that any layer has. */
function contentBytes({ allocatedBytes }: LayerFacts): number {
  return Math.max(0, allocatedBytes - overlayBytes)
}

/** An earlier try did it. */
function isMerged(world: World, chain: LayerChain, merge: Merge): boolean {
  return !betweenIn(chain, merge).some(({ id }) => id === layerIn(world, [merge.into]).base)
}

/** What goes into `into`, base first. */
function betweenIn(chain: LayerChain, { into, onto }: Merge): LayerRef[] {
  const at = chain.findIndex(({ id }) => id === into.id)
  const base = onto ? chain.findIndex(({ id }) => id === onto.id) : -1
  if (at < 1 || base >= at - 1 || (onto && base < 0))
    throw new Problem('refused', 'not-below', `Layer ${into.id} stands not on ${onto?.id} by way of another`)
  return chain.slice(base + 1, at)
}

/** What a reader of the layer sees, by block. */
export function contentOf(world: World, id: LayerId | null): Blocks {
  const layer = id && world.layers.get(id)
  return layer ? { ...contentOf(world, layer.base), ...layer.blocks } : {}
}

/** The guest writes into one of its disks. */
export function writeDisk(world: World, vm: VmId, deviceId: number, block: number, text: string): void {
  const layer = runningIn(world, vm)?.disks[deviceId]
  if (!layer) throw new Error(`machine ${vm} has no disk ${deviceId} that runs`)
  writeLayer(world, layer, block, text)
}

export function writeLayer(world: World, id: LayerId, block: number, text: string): void {
  const layer = world.layers.get(id)
  if (!layer) throw new Error(`there is no layer ${id}`)
  change(world, { layer: { ...layer, blocks: { ...layer.blocks, [block]: text } } })
}

/** The guest keeps something in mind. */
export function writeMemory(world: World, vm: VmId, memory: string): void {
  const machine = runningIn(world, vm)
  if (!machine) throw new Error(`machine ${vm} is off`)
  change(world, { machine: { ...machine, memory } })
}
