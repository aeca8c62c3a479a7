// Simulated machines: whether each is on, and where, with which disks.
import type { LayerId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { DiskSpec, Driver, HostRef, MachineSpec } from '../driver.ts'
import type { Calling } from './calling.ts'
import { demandLayers, layerIn, putLayer } from './layers.ts'
import { memoryFor } from './memory.ts'
import { admit, dismiss } from './networks.ts'
import { cardsOf, simulatedNics } from './nics.ts'
import { simulatedSnapshots } from './snapshots.ts'
import { wasAwaited } from './warm.ts'
import { change, factsOf, isDown, runningIn, type SimulatedMachine, type World } from './world.ts'

const rememberedStarts = 20

export function simulatedMachines(world: World, call: Calling): Driver['machines'] {
  const start = (spec: MachineSpec, isLeftAlone: boolean) => {
    demandUp(world, spec.host)
    for (const { chain } of spec.disks) demandLayers(world, chain)
    if (!isLeftAlone) {
      const described = spec.isClone ? { ...spec, nics: [] } : spec
      const machine = started(described, memoryFor(world, spec))
      admit(world, spec.vm, described.nics, machine.sshPorts)
      change(world, { machine })
    }
    if (wasAwaited(world, spec)) world.warm.add(spec.vm)
    if (world.starts.push(spec) > rememberedStarts) world.starts.shift()
    return factsOf(world, spec.vm)
  }
  return {
    start: async spec => {
      demandUp(world, spec.host)
      await call('machines.start', world.behaviour.startMs)
      return start(spec, runningIn(world, spec.vm) !== undefined)
    },
    replace: async spec => {
      demandUp(world, spec.host)
      await call('machines.replace', world.behaviour.startMs)
      const machine = runningIn(world, spec.vm)
      return start(
        spec,
        machine !== undefined && spec.disks.every(disk => machine.disks[disk.deviceId] === tipOf(disk)),
      )
    },
    stop: async (vm, _graceMs, signal) => {
      await call('machines.stop', runningIn(world, vm) ? world.behaviour.stopMs : 0, signal)
      world.waiting.delete(vm)
      const machine = runningIn(world, vm)
      if (machine) change(world, { machine: { ...machine, power: 'off' } })
    },
    migrate: async (vm, to, signal) => {
      demandUp(world, to)
      signal.throwIfAborted()
      await call('machines.migrate', world.behaviour.migrateMs, signal)
      demandUp(world, to)
      const machine = runningIn(world, vm)
      if (!machine)
        throw new Problem('refused', 'machine-off', `Machine ${vm} is off; only a running one can move to another host`)
      if (machine.host !== to.id) change(world, { machine: { ...machine, host: to.id } })
      return factsOf(world, vm)
    },
    attachDisk: async (vm, disk) => {
      await call('machines.attachDisk')
      const machine = runningIn(world, vm)
      if (machine) change(world, { machine: { ...machine, disks: withDisk(machine.disks, disk) } })
    },
    detachDisk: async (vm, disk) => {
      await call('machines.detachDisk')
      const machine = runningIn(world, vm)
      if (machine?.disks[disk.deviceId] !== tipOf(disk)) return
      const { [disk.deviceId]: _, ...disks } = machine.disks
      change(world, { machine: { ...machine, disks } })
    },
    ...simulatedNics(world, call),
    growDisk: async (vm, disk, virtualBytes) => {
      await call('machines.growDisk')
      if (!runningIn(world, vm)) return false
      const layer = layerIn(world, disk.chain)
      if (virtualBytes < layer.virtualBytes)
        throw new Problem('refused', 'disk-only-grows', `Disk ${disk.deviceId} of a running machine can only grow`)
      putLayer(world, disk.chain.at(-1) ?? disk.chain[0], layer.base, virtualBytes, layer.allocatedBytes, layer.blocks)
      return true
    },
    ...simulatedSnapshots(world, call),
    changeMedium: async (vm, iso) => {
      await call('machines.changeMedium')
      const machine = runningIn(world, vm)
      if (machine) change(world, { machine: { ...machine, cd: iso?.id ?? null } })
    },
    discard: async vm => {
      await call('machines.discard')
      if (runningIn(world, vm))
        throw new Problem('refused', 'machine-running', `Machine ${vm} runs; stop it before it is discarded`)
      world.waiting.delete(vm)
      dismiss(world, vm)
      if (world.machines.has(vm)) change(world, { machineGone: vm })
    },
    facts: async vm => {
      await call('machines.facts')
      return factsOf(world, vm)
    },
    heldMemory: async vm => {
      await call('machines.heldMemory')
      const { memoryMib = 0 } = runningIn(world, vm) ?? {}
      return runningIn(world, vm) ? (world.heldMib.get(vm) ?? memoryMib) * 2 ** 20 : null
    },
    list: async () => {
      await call('machines.list')
      return [...world.machines.keys()].map(vm => factsOf(world, vm))
    },
    consoleLog: async vm => {
      await call('machines.consoleLog')
      return Buffer.from(world.machines.has(vm) ? `${vm} login: ` : '')
    },
    adopt: async () => {
      await call('machines.adopt')
      return [...world.machines.keys()].map(vm => factsOf(world, vm)).filter(({ power }) => power === 'on')
    },
  }
}

export function demandUp(world: World, host: HostRef): void {
  if (isDown(world, host)) throw new Problem('unavailable', 'host-silent', `Host ${host.name} does not answer`)
}

function started(
  { vm, host, nics, disks, cdrom, memoryMib, cpus, isClone }: MachineSpec,
  memory: string,
): SimulatedMachine {
  return {
    vm,
    host: host.id,
    power: 'on',
    ...cardsOf(vm, nics),
    cd: cdrom?.id ?? null,
    disks: disks.reduce<SimulatedMachine['disks']>(withDisk, {}),
    memoryMib,
    cpus,
    memory,
    inherited: isClone ? [0] : [],
  }
}

function tipOf({ chain }: Pick<DiskSpec, 'chain'>): LayerId {
  return (chain.at(-1) ?? chain[0]).id
}

function withDisk(disks: SimulatedMachine['disks'], { deviceId, chain }: DiskSpec): SimulatedMachine['disks'] {
  const layer = tipOf({ chain })
  const there = disks[deviceId]
  if (there && there !== layer)
    throw new Problem('in-use', 'device-in-use', `The running machine has another disk at place ${deviceId}`)
  return { ...disks, [deviceId]: layer }
}
