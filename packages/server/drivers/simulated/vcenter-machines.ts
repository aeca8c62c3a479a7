// Machines of a simulated vCenter, whatever they were made of: power, moves, and what is told of them.
import type { VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver, MachineFacts } from '../driver.ts'
import { noLayeredMachines } from '../own-disks.ts'
import { demandKept, keptAs, put, removeKept, snapshotIn } from './kept.ts'
import { demandHost, type Vcenter } from './vcenter.ts'
import { letGoOfDataDisks } from './vcenter-devices.ts'
import { switchKept } from './world.ts'

export function vcenterMachines(vcenter: Vcenter): Driver['machines'] {
  const { world, id, call, tasks } = vcenter
  const all = () =>
    [...world.kept.values()].flatMap(each =>
      each.vcenter === id && each.as && 'vm' in each.as ? [machineFacts(vcenter, each.as.vm)] : [],
    )
  return {
    ...noLayeredMachines,
    stop: async (vm, _graceMs, signal) => {
      await call('machines.stop', world.behaviour.stopMs, signal)
      const kept = keptAs(world, id, vm)
      if (kept?.power === 'on') await tasks.run('PowerOffVM_Task', vm, () => switchKept(world, kept, 'off'))
    },
    migrate: async (vm, to, signal) => {
      signal.throwIfAborted()
      await call('machines.migrate', world.behaviour.migrateMs, signal)
      demandHost(vcenter, to)
      const kept = keptAs(world, id, vm)
      if (kept?.power !== 'on')
        throw new Problem('refused', 'machine-off', `Machine ${vm} is off; only a running one can move to another host`)
      if (kept.host !== to.id) await tasks.run('RelocateVM_Task', vm, () => put(world, { ...kept, host: to.id }))
      return machineFacts(vcenter, vm)
    },
    getVmSnapshotConfigs: async ({ vm, id: snapshot }) => {
      await call('machines.getVmSnapshotConfigs')
      const { cpus, memoryMib } = snapshotIn(demandKept(world, id, vm), snapshot)
      return { cpus, memoryMib }
    },
    setClock: async () => 'agent-missing',
    changeMedium: () => call('machines.changeMedium'),
    discard: async vm => {
      await call('machines.discard')
      const kept = keptAs(world, id, vm)
      if (kept?.power === 'on')
        throw new Problem('refused', 'machine-running', `Machine ${vm} runs; stop it before it is discarded`)
      if (!kept) return
      await tasks.run('Destroy_Task', vm, () => {
        letGoOfDataDisks(vcenter, kept)
        removeKept(world, kept)
      })
    },
    facts: async vm => {
      await call('machines.facts')
      return machineFacts(vcenter, vm)
    },
    list: async () => {
      await call('machines.list')
      return all()
    },
    heldMemory: async () => null,
    consoleLog: async () => new Uint8Array(),
    adopt: async () => all().filter(({ power }) => power === 'on'),
  }
}

/** One that is not there is off. */
export function machineFacts({ world, id }: Vcenter, vm: VmId): MachineFacts {
  const kept = keptAs(world, id, vm)
  return { vm, power: kept?.power ?? 'off', host: kept?.power === 'on' ? kept.host : null, sshPorts: {} }
}
