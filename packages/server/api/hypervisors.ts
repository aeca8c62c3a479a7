// The hypervisor that a call names: the server's own, or one of those that clusters are reached of.
import type { Hypervisor } from '@ramet/core/clone-type.ts'
import type { App } from '../app.ts'
import { invalid } from './parameters.ts'

export const hypervisorNames = ['KVM', 'VMware', 'Simulator'] as const

/** `given`, which clients of CloudStack name everywhere, must be what drives the machines here, or `Any`. */
export function demandHypervisor(app: App, given: string | undefined): void {
  if (given !== undefined && given !== 'Any' && given !== app.hypervisor)
    throw invalid('hypervisor', `is ${given}; machines here run on ${app.hypervisor}`)
}

/** Is it one of which clusters are reached by a connection? */
export function isReached(app: App, hypervisor: string | undefined): hypervisor is Hypervisor {
  return app.clusters.hypervisors.some(each => each === hypervisor)
}
