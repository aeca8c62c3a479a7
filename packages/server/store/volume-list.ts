// Volumes with everything that a list shows of them.
import type { Db } from './database.ts'
import { tagsIn } from './tags.ts'

export function selectVolumes(db: Db) {
  return db
    .selectFrom('volume')
    .innerJoin('account', 'account.id', 'volume.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .innerJoin('zone', 'zone.id', 'volume.zone_id')
    .leftJoin('vm', 'vm.id', 'volume.vm_id')
    .leftJoin('storage_pool', 'storage_pool.id', 'volume.pool_id')
    .leftJoin('cluster', 'cluster.id', 'storage_pool.cluster_id')
    .leftJoin('pod', 'pod.id', 'cluster.pod_id')
    .leftJoin('layer', 'layer.id', 'volume.layer_id')
    .leftJoin('template', 'template.id', 'volume.template_id')
    .leftJoin('disk_offering', 'disk_offering.id', 'volume.disk_offering_id')
    .leftJoin('service_offering', 'service_offering.id', 'volume.service_offering_id')
    .selectAll('volume')
    .select([
      'account.name as account_name',
      'domain.id as domain_id',
      'domain.name as domain_name',
      'zone.name as zone_name',
      'vm.name as vm_name',
      'vm.display_name as vm_display_name',
      'vm.state as vm_state',
      'storage_pool.name as pool_name',
      'cluster.id as cluster_id',
      'cluster.name as cluster_name',
      'cluster.hypervisor',
      'pod.id as pod_id',
      'pod.name as pod_name',
      'domain.path as domain_path',
      'layer.allocated_bytes',
      'template.name as template_name',
      'disk_offering.name as disk_offering_name',
      'service_offering.name as service_offering_name',
    ])
    .select(tagsIn(db, 'volume.id').as('tags'))
}

export type ListedVolume = Awaited<ReturnType<ReturnType<typeof selectVolumes>['execute']>>[number]
