// Machines with everything that a list shows of them. Which ones, and how many, is asked of few tables; what is shown of the page
// is one query with many joins, and what needs a tree (how deep a machine's root disk stands, what it shares) one more.
import type { LayerId, VmId } from '@ramet/core/ids.ts'
import { type ExpressionBuilder, sql, type SqlBool } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import type { Db } from './database.ts'
import { deltasOn } from './deltas.ts'
import type { Tables } from './tables.ts'

/** What a list is narrowed by and ordered. */
export function selectVmIds(db: Db) {
  return db.selectFrom('vm').leftJoin('host', 'host.id', 'vm.host_id').select('vm.id').orderBy('vm.number', 'desc')
}

const atOnce = 2000

/** These machines, in the order of the list; many of them in several queries, so that few rows are in memory twice. */
export async function listedVms(db: Db, ids: readonly VmId[], inBrief: boolean): Promise<ListedVm[]> {
  const found: ListedVm[] = []
  for (let from = 0; from < ids.length; from += atOnce) {
    const among = sql<SqlBool>`vm.id = any(${ids.slice(from, from + atOnce)}::uuid[])`
    const rows = inBrief
      ? (await selectBriefVms(db).where(among).orderBy('vm.number', 'desc').execute()).map(row => ({
          ...row,
          ...untold,
        }))
      : await selectVms(db).where(among).orderBy('vm.number', 'desc').execute()
    for (const row of rows) found.push(row)
  }
  return found
}

/** What a machine is and where, without what stands around it. */
function selectBriefVms(db: Db) {
  return db
    .selectFrom('vm')
    .innerJoin('account', 'account.id', 'vm.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .innerJoin('zone', 'zone.id', 'vm.zone_id')
    .leftJoin('host', 'host.id', 'vm.host_id')
    .leftJoin('user_vm_clone_setting as clone', 'clone.vm_id', 'vm.id')
    .selectAll('vm')
    .select([
      'account.name as account_name',
      'domain.id as domain_id',
      'domain.name as domain_name',
      'domain.path as domain_path',
      'zone.name as zone_name',
      'host.name as host_name',
      'clone.clone_type',
    ])
    .select(eb => jobIn(eb).as('job_id'))
}

const untold = {
  service_offering_name: undefined as never,
  username: null,
  template_name: null,
  template_display_text: null,
  template_format: null,
  guest_os_id: null,
  guest_os_name: null,
  password_enabled: null,
  group_name: null,
  iso_name: null,
  iso_display_text: null,
  root_layer_id: null,
  root_device_id: null,
  root_disk_depth: null,
  root_disk_bytes: null,
  affinities: [],
  nics: [],
  keypairs: null,
}

export function selectVms(db: Db) {
  return db
    .selectFrom('vm')
    .innerJoin('account', 'account.id', 'vm.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .innerJoin('zone', 'zone.id', 'vm.zone_id')
    .innerJoin('service_offering', 'service_offering.id', 'vm.service_offering_id')
    .leftJoin('user', 'user.id', 'vm.user_id')
    .leftJoin('host', 'host.id', 'vm.host_id')
    .leftJoin('template', 'template.id', 'vm.template_id')
    .leftJoin('instance_group', 'instance_group.id', 'vm.group_id')
    .leftJoin('os_type', join =>
      join.on(eb => eb('os_type.id', '=', eb.fn.coalesce('vm.os_type_id', 'template.os_type_id'))),
    )
    .leftJoin('template as iso', 'iso.id', 'vm.iso_id')
    .leftJoin('user_vm_clone_setting as clone', 'clone.vm_id', 'vm.id')
    .leftJoin('volume as root', join =>
      join.onRef('root.vm_id', '=', 'vm.id').on('root.type', '=', 'ROOT').on('root.removed', 'is', null),
    )
    .selectAll('vm')
    .select([
      'account.name as account_name',
      'domain.id as domain_id',
      'domain.name as domain_name',
      'domain.path as domain_path',
      'zone.name as zone_name',
      'service_offering.name as service_offering_name',
      'user.username',
      'host.name as host_name',
      'template.name as template_name',
      'template.display_text as template_display_text',
      'template.format as template_format',
      'os_type.id as guest_os_id',
      'os_type.description as guest_os_name',
      'template.password_enabled',
      'instance_group.name as group_name',
      'iso.name as iso_name',
      'iso.display_text as iso_display_text',
      'clone.clone_type',
      'root.layer_id as root_layer_id',
      'root.device_id as root_device_id',
      'root.disk_depth as root_disk_depth',
      'root.disk_bytes as root_disk_bytes',
    ])
    .select(eb => [
      affinitiesIn(eb).as('affinities'),
      nicsIn(eb).as('nics'),
      keysIn(eb).as('keypairs'),
      jobIn(eb).as('job_id'),
    ])
}

type VmExpression = ExpressionBuilder<Tables, 'vm'>

function nicsIn(eb: VmExpression) {
  return jsonArrayFrom(
    eb
      .selectFrom('nic')
      .innerJoin('network', 'network.id', 'nic.network_id')
      .select([
        'nic.id',
        'nic.mac',
        'nic.ip_address',
        'nic.ssh_port',
        'nic.is_default',
        'nic.device_id',
        'nic.network_id',
      ])
      .select(['network.name as network_name', 'network.gateway', 'network.cidr'])
      .whereRef('nic.vm_id', '=', 'vm.id')
      .orderBy('nic.device_id'),
  )
}

function affinitiesIn(eb: VmExpression) {
  return jsonArrayFrom(
    eb
      .selectFrom('affinity_group')
      .innerJoin('affinity_group_vm', 'affinity_group_vm.group_id', 'affinity_group.id')
      .select(['affinity_group.id', 'affinity_group.name', 'affinity_group.type', 'affinity_group.description'])
      .whereRef('affinity_group_vm.vm_id', '=', 'vm.id')
      .orderBy('affinity_group.name'),
  )
}

function keysIn(eb: VmExpression) {
  return eb
    .selectFrom('vm_ssh_key_pair as key')
    .select(sql<string | null>`string_agg(key.name, ',' order by key.name)`.as('names'))
    .whereRef('key.vm_id', '=', 'vm.id')
}

function jobIn(eb: VmExpression) {
  return eb
    .selectFrom('job')
    .select('job.id')
    .whereRef('job.lock_key', '=', sql<string>`'vm:' || vm.id`)
    .where('job.completed', 'is', null)
    .orderBy('job.sequence')
    .limit(1)
}

export type ListedVm = Awaited<ReturnType<ReturnType<typeof selectVms>['execute']>>[number]

export interface Lineage {
  /** Layers from the base to the machine's own: 1 for a flat disk. */
  readonly depth: number
  /** Bytes of layers that others may stand on too. */
  readonly sharedBytes: number
  /** Bytes of the machine's own layer. */
  readonly exclusiveBytes: number
  /** Disks of others on what the machine wrote. */
  readonly deltas: number
}

/** Where each root layer stands, for all at once. */
export async function lineagesOf(db: Db, tips: readonly LayerId[]): Promise<Map<LayerId, Lineage>> {
  const chains = sql<{ tip: LayerId; depth: number; total: number; own: number }>`
    with recursive chain as (
      select id as tip, id, parent_id, allocated_bytes, 0 as depth from layer where id = any(${tips}::uuid[])
      union all
      select c.tip, l.id, l.parent_id, l.allocated_bytes, c.depth + 1 from layer l join chain c on l.id = c.parent_id)
    select tip, count(*)::int as depth, sum(allocated_bytes)::bigint as total,
      sum(allocated_bytes) filter (where depth = 0)::bigint as own
    from chain group by tip`
  const [{ rows }, deltas] = await Promise.all([chains.execute(db), deltasOn(db, tips)])
  return new Map(
    rows.map(({ tip, depth, total, own }) => [
      tip,
      { depth, sharedBytes: total - own, exclusiveBytes: own, deltas: deltas.get(tip) ?? 0 },
    ]),
  )
}

/** A machine as a list shows it, or undefined. */
export async function listedVm(db: Db, id: VmId): Promise<ListedVm | undefined> {
  return selectVms(db).where('vm.id', '=', id).executeTakeFirst()
}
