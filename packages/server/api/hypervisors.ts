// The hypervisor that a call names: there is one, the server's own.
import type { App } from '../app.ts'
import { invalid } from './parameters.ts'

export const hypervisorNames = ['KVM', 'Simulator'] as const

/** `given`, which clients of CloudStack name everywhere, must be what drives the machines here, or `Any`. */
export function demandHypervisor(app: App, given: string | undefined): void {
  if (given !== undefined && given !== 'Any' && given !== app.hypervisor)
    throw invalid('hypervisor', `is ${given}; machines here run on ${app.hypervisor}`)
}
