// A hypervisor that exists in memory only: for tests, for demonstrations, and for more machines than a host has room for.
// It keeps every promise of the contract on as many hosts as the server names, and can be slow or failing on request.
import { Problem } from '@ramet/core/problem.ts'
import type { Driver } from '../driver.ts'
import { callingOf } from './calling.ts'
import { demandPool, imageBytes, simulatedLayers, templateBytes } from './layers.ts'
import { demandUp, simulatedMachines } from './machines.ts'
import { freeMemoryOf, simulatedMemory } from './memory.ts'
import { simulatedNetworks } from './networks.ts'
import { simulatedWarm } from './warm.ts'
import type { World } from './world.ts'

const poolBytes = 2 ** 44

export function simulatedDriver(world: World): Driver {
  const call = callingOf(world)

  return {
    hypervisor: 'Simulator',
    capabilities: {
      disks: 'layers',
      reflink: false,
      linkedClone: true,
      fullClone: true,
      consoleLog: true,
      gracefulStop: true,
      highestDeviceId: 15,
      mostNics: 10,
      migrate: true,
      addHosts: true,
      vmSnapshot: true,
      memorySnapshot: true,
      instantClone: true,
      liveMerge: true,
      longestChain: 32, // this and the deltas as on vSphere
      consolidateAt: 16,
      mostDeltas: 255,
      networks: true,
    },
    hosts: {
      facts: async host => {
        await call('hosts.facts')
        demandUp(world, host)
        return {
          hypervisorVersion: '1.0',
          acceleration: 'simulated',
          cpus: 64,
          cpuMhz: 2000,
          memoryMib: world.hostMemoryMib,
          arch: 'x86_64',
          networks: 'simulated',
        }
      },
      memory: async host => {
        await call('hosts.memory')
        demandUp(world, host)
        const freeBytes = freeMemoryOf(world, host.id)
        return { availableBytes: freeBytes, storeFreeBytes: freeBytes }
      },
    },
    pools: {
      prepare: () => call('pools.prepare'),
      space: async pool => {
        await call('pools.space')
        demandPool(world, pool)
        return { totalBytes: poolBytes, freeBytes: poolBytes - (world.usedBytes.get(pool.id) ?? 0) }
      },
      release: async ({ id }) => {
        await call('pools.release')
        const left = [...world.layers.values(), ...world.memory.values()].find(({ pool }) => pool === id)
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
    layers: simulatedLayers(world, call),
    memory: simulatedMemory(world, call),
    networks: simulatedNetworks(world, call),
    forest: null,
    machines: simulatedMachines(world, call),
    warm: simulatedWarm(world, call),
    onPowerChange(listener) {
      world.listeners.add(listener)
      return () => world.listeners.delete(listener)
    },
    close: async () => world.waiting.clear(),
  }
}
