// What the simulated hypervisor holds: layers and machines in memory, faults and delays on request. It outlives the
// driver that works on it, as real disks and processes outlive a server.
import type { LayerId, StoragePoolId, VmId } from '@ramet/core/ids.ts'
import type { MachineSpec, Power, PowerChange } from '../driver.ts'

export interface SimulatedLayer {
  readonly id: LayerId
  readonly pool: StoragePoolId
  readonly base: LayerId | null
  readonly virtualBytes: number
  readonly allocatedBytes: number
}

export interface SimulatedMachine {
  readonly spec: MachineSpec
  power: Power
}

export interface World {
  readonly layers: Map<LayerId, SimulatedLayer>
  readonly machines: Map<VmId, SimulatedMachine>
  readonly listeners: Set<(change: PowerChange) => void>
  /** How long a call takes, in ms, by its name such as `machines.start`; 0 where nothing is said. */
  readonly delays: Map<string, number>
  /** The next so many calls of this name fail. */
  readonly faults: Map<string, number>
  /** Every call made, in order. */
  readonly calls: string[]
  /** Folders of pools that are not there, as when a file system is not mounted. */
  readonly missingPools: Set<string>
  space: { totalBytes: number; freeBytes: number }
}

export function newWorld(): World {
  return {
    layers: new Map(),
    machines: new Map(),
    listeners: new Set(),
    delays: new Map(),
    faults: new Map(),
    calls: [],
    missingPools: new Set(),
    space: { totalBytes: 2 ** 40, freeBytes: 2 ** 40 },
  }
}

/** Switches a machine as a guest or a stranger would, and tells the server. */
export function switchPower(world: World, vm: VmId, power: Power, reason: string): void {
  const machine = world.machines.get(vm)
  if (!machine || machine.power === power) return
  machine.power = power
  for (const listener of world.listeners) listener({ vm, power, reason })
}
