// How much of everything there is, on the wire.
import { integer, view } from '../view.ts'

export interface Infrastructure {
  readonly zones: number
  readonly pods: number
  readonly clusters: number
  readonly hosts: number
  readonly storagePools: number
  readonly imageStores: number
}

export const infrastructureView = view<Infrastructure>('infrastructure', {
  zones: integer('zones', count => count.zones),
  pods: integer('pods', count => count.pods),
  clusters: integer('clusters', count => count.clusters),
  hosts: integer('hosts', count => count.hosts),
  storagepools: integer('primary storage', count => count.storagePools),
  imagestores: integer('secondary storage', count => count.imageStores),
  managementservers: integer('management servers', () => 1),
  systemvms: integer('system machines', () => 0),
  routers: integer('routers', () => 0),
  alerts: integer('alerts', () => 0),
})
