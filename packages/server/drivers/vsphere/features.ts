// What a server can do by what it is; what a host can do besides is among its properties (`capability.…`).
import type { Data } from './vim25/schema.ts'
import { atLeast } from './vim25/version.ts'

export class VmwareFeatures {
  /** Clones, templates and promotion are vCenter's; an ESXi alone has snapshots. */
  readonly clone: boolean
  readonly instantClone: boolean
  readonly consolidate: boolean

  constructor({ apiType, apiVersion }: Pick<Data<'AboutInfo'>, 'apiType' | 'apiVersion'>) {
    this.clone = apiType === 'VirtualCenter'
    this.instantClone = this.clone && atLeast(apiVersion, '6.7')
    this.consolidate = atLeast(apiVersion, '5.0')
  }
}
