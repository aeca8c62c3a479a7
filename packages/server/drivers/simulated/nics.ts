// Network cards of simulated machines that run: plugged in and pulled out.
import type { NicId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver, NicSpec } from '../driver.ts'
import type { Calling } from './calling.ts'
import { admit, release } from './networks.ts'
import { change, factsOf, runningIn, type SimulatedMachine, type World } from './world.ts'

type Cards = Pick<Driver['machines'], 'attachNic' | 'detachNic'>

export function simulatedNics(world: World, call: Calling): Cards {
  return {
    attachNic: async (vm, nic) => {
      await call('machines.attachNic')
      const machine = runningIn(world, vm)
      if (machine) {
        const more = cardsOf(vm, [nic])
        const there = machine.nics?.[nic.deviceId]
        if ((there && there !== nic.id) || machine.inherited?.includes(nic.deviceId))
          throw new Problem('in-use', 'device-in-use', `The running machine has another card at place ${nic.deviceId}`)
        admit(world, vm, [nic], more.sshPorts)
        const nics = { ...machine.nics, ...more.nics }
        change(world, { machine: { ...machine, nics, sshPorts: { ...machine.sshPorts, ...more.sshPorts } } })
      }
      return factsOf(world, vm)
    },
    detachNic: async (vm, nic) => {
      await call('machines.detachNic')
      const machine = world.machines.get(vm)
      if (machine) change(world, { machine: withoutCard(machine, nic) })
      if (nic.kind === 'network') release(world, nic.network.id, nic.id)
    },
  }
}

/** What a machine remembers of its cards: which is at each place, and the ports that reach its SSH. */
export function cardsOf(
  vm: SimulatedMachine['vm'],
  nics: readonly NicSpec[],
): Required<Pick<SimulatedMachine, 'nics' | 'sshPorts'>> {
  const port = 20_000 + (Number.parseInt(vm.slice(0, 4), 16) % 40_000)
  const reached = nics.filter(nic => !nic.silent && (nic.kind === 'user-nat' || nic.forwardSsh))
  return {
    nics: Object.fromEntries(nics.map(nic => [nic.deviceId, nic.id])),
    sshPorts: Object.fromEntries(reached.map(nic => [nic.id, nic.sshPort ?? port + nic.deviceId])),
  }
}

function withoutCard(machine: SimulatedMachine, { id }: { readonly id: NicId }): SimulatedMachine {
  const { [id]: _, ...sshPorts } = machine.sshPorts
  const nics = Object.entries(machine.nics ?? {}).filter(([, nic]) => nic !== id)
  return { ...machine, sshPorts, nics: Object.fromEntries(nics) }
}
