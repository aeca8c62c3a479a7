// A hypervisor that exists in memory only: for tests, for demonstrations, and for more machines than a host has room for.
// It keeps every promise of the contract, and can be slow or failing on request (world.ts).
import { writeFile } from 'node:fs/promises'
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import { setTimeout as delay } from 'node:timers/promises'
import type { DiskSpec, Driver, LayerChain, LayerFacts, LayerRef, MachineFacts, PoolRef, Progress } from '../driver.ts'
import type { SimulatedLayer, SimulatedMachine, World } from './world.ts'

const imageBytes = 2 ** 30
const templateBytes = 64 * 2 ** 20
const overlayBytes = 196_616

export function simulatedDriver(world: World): Driver {
  const call = async (name: string) => {
    world.calls.push(name)
    const wait = world.delays.get(name)
    if (wait) await delay(wait)
    const faults = world.faults.get(name) ?? 0
    if (faults === 0) return
    world.faults.set(name, faults - 1)
    throw new Problem('unavailable', 'simulated-fault', `The simulated hypervisor refuses ${name}`)
  }

  return {
    hypervisor: 'KVM',
    capabilities: {
      reflink: false,
      linkedClone: true,
      fullClone: true,
      consoleLog: true,
      gracefulStop: true,
      highestDeviceId: 15,
    },
    host: {
      facts: async () => {
        await call('host.facts')
        return {
          hypervisorVersion: '1.0',
          acceleration: 'simulated',
          cpus: 64,
          cpuMhz: 2000,
          memoryMib: 2 ** 20,
          arch: 'x86_64',
        }
      },
      preparePool: () => call('host.preparePool'),
      space: async pool => {
        await call('host.space')
        demandPool(world, pool)
        return world.space
      },
      releasePool: async ({ id }) => {
        await call('host.releasePool')
        const left = [...world.layers.values()].find(({ pool }) => pool === id)
        if (left) throw new Error(`pool ${id} was released although it holds ${left.id}`)
      },
    },
    images: {
      inspect: async (_file, expected, maxVirtualBytes) => {
        await call('images.inspect')
        if (maxVirtualBytes < imageBytes)
          throw new Problem(
            'invalid',
            'image-too-large',
            `The image has ${imageBytes} bytes; at most ${maxVirtualBytes} are allowed`,
          )
        return { format: expected, virtualBytes: imageBytes, allocatedBytes: templateBytes }
      },
    },
    layers: {
      seed: async (layer, _image, _format, _owner, progress, signal) => {
        await call('layers.seed')
        await copying(progress, signal)
        return put(world, layer, null, imageBytes, templateBytes)
      },
      fork: async (layer, base, virtualBytes) => {
        await call('layers.fork')
        demandLayers(world, base)
        demandLargeEnough(world, base, virtualBytes)
        return put(world, layer, base.at(-1)?.id ?? null, virtualBytes, overlayBytes)
      },
      copy: async (layer, source, virtualBytes, _owner, progress, signal) => {
        await call('layers.copy')
        demandLayers(world, source)
        await copying(progress, signal)
        return put(world, layer, null, virtualBytes, templateBytes)
      },
      graft: async (layer, source, base, _owner, progress, signal) => {
        await call('layers.graft')
        demandLayers(world, source)
        demandLayers(world, base)
        await copying(progress, signal)
        const { virtualBytes, allocatedBytes } = layerIn(world, source)
        return put(world, layer, base.at(-1)?.id ?? null, virtualBytes, allocatedBytes)
      },
      blank: async (layer, virtualBytes) => {
        await call('layers.blank')
        return put(world, layer, null, virtualBytes, overlayBytes)
      },
      resize: async (chain, virtualBytes) => {
        await call('layers.resize')
        demandLayers(world, chain)
        const layer = layerIn(world, chain)
        if (virtualBytes < layer.virtualBytes) refuseToCut(world, layer, virtualBytes)
        return put(world, chain.at(-1) ?? chain[0], layer.base, virtualBytes, layer.allocatedBytes)
      },
      export: async (chain, file, _owner, progress, signal) => {
        await call('layers.export')
        demandLayers(world, chain)
        await copying(progress, signal)
        await writeFile(file, `the disk ${layerIn(world, chain).id}`)
      },
      facts: async ({ id }) => {
        await call('layers.facts')
        return world.layers.get(id) ?? null
      },
      discard: async ({ id, pool }) => {
        await call('layers.discard')
        demandPool(world, pool)
        const child = [...world.layers.values()].find(({ base }) => base === id)
        if (child) throw new Error(`layer ${id} was discarded although ${child.id} stands on it`)
        world.layers.delete(id)
      },
      list: async ({ id }) => {
        await call('layers.list')
        return [...world.layers.values()].filter(({ pool }) => pool === id).map(layer => layer.id)
      },
    },
    machines: {
      start: async spec => {
        await call('machines.start')
        for (const { chain } of spec.disks) demandLayers(world, chain)
        if (world.machines.get(spec.vm)?.power !== 'on') world.machines.set(spec.vm, { spec, power: 'on' })
        return factsOf(spec.vm, world.machines.get(spec.vm))
      },
      stop: async vm => {
        await call('machines.stop')
        const machine = world.machines.get(vm)
        if (machine) machine.power = 'off'
      },
      attachDisk: async (vm, disk) => {
        await call('machines.attachDisk')
        changeDisks(world, vm, disks => withDisk(disks, disk))
      },
      detachDisk: async (vm, disk) => {
        await call('machines.detachDisk')
        changeDisks(world, vm, disks => disks.filter(({ deviceId }) => deviceId !== disk.deviceId))
      },
      growDisk: async (vm, disk, virtualBytes) => {
        await call('machines.growDisk')
        if (world.machines.get(vm)?.power !== 'on') return false
        const layer = layerIn(world, disk.chain)
        if (virtualBytes < layer.virtualBytes)
          throw new Problem('refused', 'disk-only-grows', `Disk ${disk.deviceId} of a running machine can only grow`)
        put(world, disk.chain.at(-1) ?? disk.chain[0], layer.base, virtualBytes, layer.allocatedBytes)
        return true
      },
      discard: async vm => {
        await call('machines.discard')
        if (world.machines.get(vm)?.power === 'on')
          throw new Problem('refused', 'machine-running', `Machine ${vm} runs; stop it before it is discarded`)
        world.machines.delete(vm)
      },
      facts: async vm => {
        await call('machines.facts')
        return factsOf(vm, world.machines.get(vm))
      },
      list: async () => {
        await call('machines.list')
        return [...world.machines].map(([vm, machine]) => factsOf(vm, machine))
      },
      consoleLog: async vm => {
        await call('machines.consoleLog')
        return Buffer.from(world.machines.has(vm) ? `${vm} login: ` : '')
      },
      adopt: async () => {
        await call('machines.adopt')
        return [...world.machines].map(([vm, machine]) => factsOf(vm, machine)).filter(({ power }) => power === 'on')
      },
    },
    onPowerChange(listener) {
      world.listeners.add(listener)
      return () => world.listeners.delete(listener)
    },
    close: async () => {},
  }
}

function factsOf(vm: MachineFacts['vm'], machine: SimulatedMachine | undefined): MachineFacts {
  if (machine?.power !== 'on') return { vm, power: 'off', sshPorts: {} }
  const ports = machine.spec.nics.map(
    nic => [nic.id, nic.sshPort ?? 20_000 + (Number.parseInt(vm.slice(0, 4), 16) % 40_000)] as const,
  )
  return { vm, power: 'on', sshPorts: Object.fromEntries(ports) }
}

function demandPool(world: World, { path }: PoolRef): void {
  if (world.missingPools.has(path))
    throw new Problem('unavailable', 'pool-missing', `The storage pool at ${path} is not there`)
}

function put(
  world: World,
  { id, pool }: LayerRef,
  base: LayerId | null,
  virtualBytes: number,
  allocatedBytes: number,
): LayerFacts {
  demandPool(world, pool)
  const layer = { id, pool: pool.id, base, virtualBytes, allocatedBytes }
  world.layers.set(id, layer)
  return layer
}

function demandLayers(world: World, chain: LayerChain): void {
  for (const { id } of chain)
    if (!world.layers.has(id)) throw new Problem('unavailable', 'layer-missing', `There is no layer ${id}`)
}

function layerIn(world: World, chain: LayerChain): SimulatedLayer {
  const tip = chain.at(-1) ?? chain[0]
  const layer = world.layers.get(tip.id)
  if (!layer) throw new Problem('unavailable', 'layer-missing', `There is no layer ${tip.id}`)
  return layer
}

/** Its data lie at the beginning, as many bytes as it occupies. */
function refuseToCut(world: World, layer: SimulatedLayer, virtualBytes: number): void {
  const base = layer.base ? world.layers.get(layer.base) : undefined
  if (base && virtualBytes < base.virtualBytes)
    throw new Problem('refused', 'disk-below-base', `The disk stands on one of ${base.virtualBytes} bytes`)
  if (virtualBytes < layer.allocatedBytes)
    throw new Problem('refused', 'disk-has-data', `The disk holds data up to byte ${layer.allocatedBytes}`)
}

/** A machine that is off has no disks plugged in; its next start brings them. */
function changeDisks(world: World, vm: VmId, change: (disks: readonly DiskSpec[]) => DiskSpec[]): void {
  const machine = world.machines.get(vm)
  if (machine?.power !== 'on') return
  const [root, ...data] = change(machine.spec.disks)
  if (root) world.machines.set(vm, { ...machine, spec: { ...machine.spec, disks: [root, ...data] } })
}

function withDisk(disks: readonly DiskSpec[], disk: DiskSpec): DiskSpec[] {
  const there = disks.find(({ deviceId }) => deviceId === disk.deviceId)
  if (!there) return [...disks, disk]
  if (there.chain.at(-1)?.id === disk.chain.at(-1)?.id) return [...disks]
  throw new Problem('in-use', 'device-in-use', `The running machine has another disk at place ${disk.deviceId}`)
}

function demandLargeEnough(world: World, base: LayerChain, virtualBytes: number): void {
  const least = world.layers.get(base[base.length - 1]?.id as LayerId)?.virtualBytes ?? 0
  if (virtualBytes < least)
    throw new Problem(
      'invalid',
      'layer-smaller',
      `A layer of ${virtualBytes} bytes cannot stand on one of ${least} bytes`,
    )
}

async function copying(progress: Progress, signal: AbortSignal): Promise<void> {
  for (const percent of [0, 50, 100]) {
    signal.throwIfAborted()
    progress(percent)
    await delay(1)
  }
}
