// Simulated processes that wait for clones.
import type { MachineSpec } from '../driver.ts'
import type { Warm } from '../warm.ts'
import type { Calling } from './calling.ts'
import { demandUp } from './machines.ts'
import type { World } from './world.ts'

export function simulatedWarm(world: World, call: Calling): Warm {
  return {
    prepare: async spec => {
      demandUp(world, spec.host)
      await call('warm.prepare', world.behaviour.startMs)
      if (!spec.memory || !world.memory.has(spec.memory.id)) throw new Error('there is no such memory image')
      world.waiting.set(spec.vm, spec)
    },
    end: async vm => {
      await call('warm.end')
      world.waiting.delete(vm)
    },
    waiting: () =>
      new Map([...world.waiting].flatMap(([vm, { memory }]) => (memory ? [[vm, memory.id] as const] : []))),
  }
}

/** Whether something waited for just this machine; it waits no longer in any case. */
export function wasAwaited(world: World, spec: MachineSpec): boolean {
  const waiting = world.waiting.get(spec.vm)
  world.waiting.delete(spec.vm)
  return waiting !== undefined && ofStart(waiting) === ofStart(spec)
}

/** All that is not told anew when it starts. */
function ofStart({ vm, owner, cpus, memoryMib, generationId, memory, cdrom, disks }: MachineSpec): string {
  const places = disks.map(({ deviceId, serial }) => [deviceId, serial])
  return JSON.stringify([vm, owner, cpus, memoryMib, generationId, memory?.id, cdrom?.id ?? null, places])
}
