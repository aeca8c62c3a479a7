// Simulated memory images: what the guests had in mind, and what they were made with.
import type { HostId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver, MachineSpec, MemoryImageFacts, MemoryImageRef } from '../driver.ts'
import type { Calling } from './calling.ts'
import { diskWritten } from '../disk-written.ts'
import { demandPool, layerIn } from './layers.ts'
import { change, type SimulatedMachine, type SimulatedMemory, type World } from './world.ts'

const mib = 2 ** 20

export function simulatedMemory(world: World, call: Calling): Driver['memory'] {
  return {
    facts: async ({ id }) => {
      await call('memory.facts')
      const image = world.memory.get(id)
      return image ? factsOfMemory(image) : null
    },
    fits: async ({ id }) => {
      await call('memory.fits')
      if (!world.memory.has(id)) return `There is no memory image ${id} any more`
      return world.misfits.get(id) ?? null
    },
    discard: async ({ id, pool }) => {
      await call('memory.discard')
      demandPool(world, pool)
      for (const [vm, { memory }] of world.waiting) if (memory?.id === id) world.waiting.delete(vm)
      if (world.memory.has(id)) change(world, { memoryGone: id })
    },
    list: async ({ id }) => {
      await call('memory.list')
      return [...world.memory.values()].filter(({ pool }) => pool === id).map(image => image.id)
    },
  }
}

/** What machines and images leave of a host's memory. */
export function freeMemoryOf(world: World, host: HostId): number {
  const running = [...world.machines.values()].filter(({ power }) => power === 'on')
  const held = [...running, ...world.memory.values()].filter(each => each.host === host)
  return world.hostMemoryMib * mib - held.reduce((sum, { memoryMib = 0 }) => sum + memoryMib * mib, 0)
}

export function saveMemory(
  world: World,
  { id, pool }: MemoryImageRef,
  machine: SimulatedMachine,
  inHostMemory: boolean,
): MemoryImageFacts {
  demandPool(world, pool)
  const { memoryMib = 0, cpus = 1, disks, memory: content = '' } = machine
  const about = { id, pool: pool.id, memoryMib, cpus, disks: Object.keys(disks).map(Number), content }
  const image = inHostMemory ? { ...about, host: machine.host } : about
  change(world, { memory: image })
  return factsOfMemory(image)
}

/** What the guest goes on with; refused where it would find other devices than it had. */
export function memoryFor(world: World, { memory, memoryMib, cpus, disks, host }: MachineSpec): string {
  if (!memory) return ''
  const image = world.memory.get(memory.id)
  if (!image) throw new Problem('unavailable', 'memory-image-missing', `There is no memory image ${memory.id}`)
  const places = disks.map(({ deviceId }) => deviceId).toSorted((a, b) => a - b)
  const why =
    world.misfits.get(image.id) ??
    (image.host && image.host !== host.id
      ? `The memory image is in the memory of another host than ${host.name}`
      : null) ??
    (image.memoryMib === memoryMib && image.cpus === cpus && places.join() === image.disks.join()
      ? null
      : 'The memory image was made with other memory, processors or disks')
  if (why) throw new Problem('refused', 'memory-does-not-fit', why)
  for (const { deviceId, chain } of disks)
    if (Object.keys(layerIn(world, chain).blocks ?? {}).length > 0) throw diskWritten(deviceId)
  return image.content
}

export function factsOfMemory({ memoryMib, host }: SimulatedMemory): MemoryImageFacts {
  return {
    memoryBytes: memoryMib * mib,
    allocatedBytes: memoryMib * mib,
    hypervisorVersion: '1.0',
    machineType: 'simulated',
    cpuModel: 'simulated',
    inHostMemory: host !== undefined,
  }
}
