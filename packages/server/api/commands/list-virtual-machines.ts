import { waysToClone } from '@ramet/core/clone-type.ts'
import { vmStates } from '@ramet/core/vm.ts'
import { sql, type SqlBool } from 'kysely'
import type { App } from '../../app.ts'
import { hasTags, withTags } from '../../store/tags.ts'
import { lineagesOf, listedVms, selectVmIds } from '../../store/vm-list.ts'
import { type Caller, isAdmin } from '../caller.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { tagFilter } from '../tags.ts'
import { containing } from '../paging.ts'
import { choice, flag, id, ids, invalid, list, stateFilter, text } from '../parameters.ts'
import { refuseForUsers } from '../place.ts'
import { countOf, narrowTo, pageOf, reads } from '../query.ts'
import { virtualMachineView, type VmOnWire } from '../views/virtual-machine.ts'

const gone = ['Destroyed', 'Expunging'] as const
const states = ['Present', ...vmStates, 'Expunged'] as const

export const listVirtualMachines = listCommand({
  name: 'listVirtualMachines',
  description: 'Lists virtual machines',
  permission: 'user',
  params: {
    ...ownershipParameters,
    ...tagFilter,
    id: id<'vm'>('the virtual machine'),
    ids: ids<'vm'>('the virtual machines'),
    name: text('part of the name'),
    state: stateFilter('a state; Present for all that are not destroyed; Expunged for those that are gone', states),
    zoneid: id<'zone'>('those of a zone'),
    podid: id<'pod'>('those on hosts of a pod; administrators only'),
    clusterid: id<'cluster'>('those on hosts of a cluster; administrators only'),
    hostid: id<'host'>('those on a host; administrators only'),
    storageid: id<'storage-pool'>('those with a disk on a primary storage; administrators only'),
    groupid: id<'instance-group'>('those of an instance group'),
    affinitygroupid: id<'affinity-group'>('those of an affinity group'),
    haenable: flag('those with, or without, haenable'),
    isoid: id<'template'>('those with an ISO in their drive'),
    templateid: id<'template'>('those made from a template'),
    serviceofferingid: id<'service-offering'>('those of a service offering'),
    networkid: id<'network'>('those with a NIC in a network'),
    keypair: text('those with an SSH key of this name'),
    userid: id<'user'>('those a user made'),
    hypervisor: text('those on a hypervisor'),
    clonetype: choice('full, linked or instant clones', waysToClone),
    frozen: flag('those that are, or are not, frozen'),
    details: list('all, or min: without NICs, template, offering, disks and tags', text('a part')),
    userdata: flag('tell the user data too'),
    retrieveonlyresourcecount: flag('tell only how many there are'),
  },
  view: virtualMachineView,
  async run({ app, caller, params, page }) {
    if (params.id && params.ids) throw invalid('ids', 'excludes id; give one of them')
    refuseForUsers(caller, params, ['podid', 'clusterid', 'hostid', 'storageid'])
    let vms = narrowToState(selectVmIds(app.db), app, caller, params.state)
    vms = narrowToOwner(vms, 'vm.account_id', caller, params).where(hasTags('vm.id', params.tags))
    vms = narrowTo(vms, {
      'vm.id': params.id,
    })
    if (params.ids) vms = vms.where('vm.id', 'in', params.ids)
    if (params.name) vms = vms.where('vm.name', 'ilike', containing(params.name))
    vms = narrowTo(vms, {
      'vm.zone_id': params.zoneid,
      'vm.host_id': params.hostid,
      'host.cluster_id': params.clusterid,
    })
    if (params.podid)
      vms = vms.where(sql<SqlBool>`host.cluster_id in (select id from cluster where pod_id = ${params.podid})`)
    if (params.storageid)
      vms = vms.where(
        sql<SqlBool>`exists (select 1 from volume v where v.vm_id = vm.id and v.removed is null and v.pool_id = ${params.storageid})`,
      )
    if (params.groupid) vms = vms.where('vm.group_id', '=', params.groupid)
    if (params.affinitygroupid)
      vms = vms.where(
        sql<SqlBool>`vm.id in (select vm_id from affinity_group_vm where group_id = ${params.affinitygroupid})`,
      )
    vms = narrowTo(vms, {
      'vm.ha_enabled': params.haenable,
      'vm.iso_id': params.isoid,
      'vm.template_id': params.templateid,
      'vm.service_offering_id': params.serviceofferingid,
      'vm.user_id': params.userid,
      'vm.is_frozen': params.frozen,
    })
    if (params.clonetype) vms = vms.where(isCloned(params.clonetype))
    if (params.hypervisor) vms = vms.where(reads('vm.hypervisor', params.hypervisor))
    const { networkid, keypair } = params
    if (networkid)
      vms = vms.where(eb =>
        eb.exists(
          eb
            .selectFrom('nic')
            .select('nic.id')
            .whereRef('nic.vm_id', '=', 'vm.id')
            .where('nic.network_id', '=', networkid),
        ),
      )
    if (keypair)
      vms = vms.where(eb =>
        eb.exists(
          eb
            .selectFrom('vm_ssh_key_pair as k')
            .select('k.name')
            .whereRef('k.vm_id', '=', 'vm.id')
            .where('k.name', '=', keypair),
        ),
      )
    if (page.keyword)
      vms = vms.where(eb =>
        eb.or([
          eb('vm.name', 'ilike', containing(page.keyword ?? '')),
          eb('vm.display_name', 'ilike', containing(page.keyword ?? '')),
        ]),
      )
    if (params.retrieveonlyresourcecount) return { count: await countOf(vms), items: [] }
    const found = await pageOf(vms, page)
    const { count } = found
    const inBrief = params.details?.includes('min') ?? false
    const machines = await listedVms(
      app.db,
      found.items.map(({ id: vm }) => vm),
      inBrief,
    )
    const items: VmOnWire[] = machines.map(vm => ({ ...vm, tellsUserData: params.userdata ?? false }))
    if (inBrief) return { count, items }
    const tagged = await withTags(app.db, items)
    const lineages = await lineagesOf(
      app.db,
      items.flatMap(({ root_layer_id }) => root_layer_id ?? []),
    )
    return {
      count,
      items: tagged.map(vm => ({ ...vm, lineage: vm.root_layer_id ? lineages.get(vm.root_layer_id) : undefined })),
    }
  },
})

/** An instant clone is linked as well; a machine of which nothing is noted is linked. */
function isCloned(type: (typeof waysToClone)[number]) {
  if (type === 'instant') return sql<SqlBool>`vm.is_instant`
  return sql<SqlBool>`not vm.is_instant and ${type} = coalesce(
    (select c.clone_type from user_vm_clone_setting c where c.vm_id = vm.id), 'linked')`
}

/** Users do not see what they destroyed, unless a setting says so; what is expunged is seen only by who asks for it. */
function narrowToState(
  vms: ReturnType<typeof selectVmIds>,
  app: App,
  caller: Caller,
  asked: (typeof states)[number] | undefined,
) {
  if (asked === 'Expunged') return vms.where('vm.removed', 'is not', null)
  const kept = vms.where('vm.removed', 'is', null)
  const seesDestroyed = isAdmin(caller) || app.settings.flag('allow.user.view.destroyed.vm')
  const visible = seesDestroyed ? kept : kept.where('vm.state', 'not in', [...gone])
  if (asked === 'Present') return visible.where('vm.state', 'not in', [...gone])
  return asked ? visible.where('vm.state', '=', asked) : visible
}
