// VM snapshots with everything that a list shows of them.
import { sql } from 'kysely'
import type { Db } from './database.ts'
import { tagsIn } from './tags.ts'

export function selectVmSnapshots(db: Db) {
  return db
    .selectFrom('vm_snapshot')
    .innerJoin('vm', 'vm.id', 'vm_snapshot.vm_id')
    .innerJoin('account', 'account.id', 'vm_snapshot.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .innerJoin('zone', 'zone.id', 'vm.zone_id')
    .leftJoin('vm_snapshot as parent', 'parent.id', 'vm_snapshot.parent_id')
    .leftJoin('memory_image', 'memory_image.id', 'vm_snapshot.memory_image_id')
    .selectAll('vm_snapshot')
    .select([
      'vm.name as vm_name',
      'vm.zone_id',
      'vm.hypervisor',
      'zone.name as zone_name',
      'account.name as account_name',
      'domain.id as domain_id',
      'domain.name as domain_name',
      'domain.path as domain_path',
      'parent.display_name as parent_name',
      'memory_image.shape as memory_shape',
      'memory_image.allocated_bytes as memory_bytes',
    ])
    .select(tagsIn(db, 'vm_snapshot.id').as('tags'))
    .select(eb => [
      eb
        .selectFrom('vmsnapshot_spool_ref as seed')
        .select('seed.state')
        .whereRef('seed.vm_snapshot_id', '=', 'vm_snapshot.id')
        .limit(1)
        .as('seed_state'),
      eb
        .selectFrom('job')
        .select('job.id')
        .whereRef('job.instance_id', '=', 'vm_snapshot.id')
        .where('job.completed', 'is', null)
        .orderBy('job.sequence')
        .limit(1)
        .as('job_id'),
      sql<number>`(select count(*)::int from vm_snapshot s where s.vm_id = vm_snapshot.vm_id and s.removed is null)`.as(
        'count',
      ),
    ])
}

export type ListedVmSnapshot = Awaited<ReturnType<ReturnType<typeof selectVmSnapshots>['execute']>>[number]
