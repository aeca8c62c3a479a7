// What a conversion or a consolidation would do, for people to read before they do it.
import type { Flattening } from '@ramet/core/chain.ts'
import { bytesIn } from '../jobs/flatten.ts'
import type { Vm } from '../store/vms.ts'
import type { Answer } from './command.ts'

export function planOnWire(vm: Pick<Vm, 'id'>, plan: readonly Flattening[]): Answer {
  return {
    virtualmachineid: vm.id,
    steps: plan.map(({ into, onto, between, bytes }) => ({
      operation: 'merge',
      layers: [...between],
      into,
      ...(onto && { onto }),
      bytes,
    })),
    movedbytes: bytesIn(plan),
  }
}
