// The lists again under the names that CloudStack's web page demands before it shows a section: the same parameters and the same
// objects, in which the measurements are.
import { metricsTwin } from '../metrics-twin.ts'
import { listClusters } from './list-clusters.ts'
import { listHosts } from './list-hosts.ts'
import { listManagementServers } from './list-management-servers.ts'
import { listStoragePools } from './list-storage-pools.ts'
import { listVirtualMachines } from './list-virtual-machines.ts'
import { listVolumes } from './list-volumes.ts'
import { listZones } from './list-zones.ts'

export const listClustersMetrics = metricsTwin(listClusters)
export const listHostsMetrics = metricsTwin(listHosts)
export const listManagementServersMetrics = metricsTwin(listManagementServers)
export const listStoragePoolsMetrics = metricsTwin(listStoragePools)
export const listVirtualMachinesMetrics = metricsTwin(listVirtualMachines)
export const listVolumesMetrics = metricsTwin(listVolumes)
export const listZonesMetrics = metricsTwin(listZones)
