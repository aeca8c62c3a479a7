import { lineagesOf, selectVms } from '../../store/vm-list.ts'
import { isAdmin } from '../caller.ts'
import { listCommand } from '../command.ts'
import { narrowToOwner, ownershipParameters } from '../ownership.ts'
import { containing } from '../paging.ts'
import { id, list, text } from '../parameters.ts'
import { pageOf } from '../query.ts'
import { virtualMachineView } from '../views/virtual-machine.ts'

const gone = ['Destroyed', 'Expunging'] as const

export const listVirtualMachines = listCommand({
  name: 'listVirtualMachines',
  description: 'Lists virtual machines',
  permission: 'user',
  params: {
    ...ownershipParameters,
    id: id<'vm'>('the virtual machine'),
    ids: list('the virtual machines', id<'vm'>('a virtual machine')),
    name: text('part of the name'),
    state: text('a state, or Present for all that are not destroyed'),
    zoneid: id<'zone'>('those of a zone'),
    hostid: id<'host'>('those on a host; administrators only'),
    templateid: id<'template'>('those made from a template'),
    serviceofferingid: id<'service-offering'>('those of a service offering'),
    networkid: id<'network'>('those with a NIC in a network'),
    keypair: text('those with an SSH key of this name'),
    userid: id<'user'>('those a user made'),
    hypervisor: text('those on a hypervisor'),
    details: list('all, or min for less', text('a part')),
  },
  view: virtualMachineView,
  async run({ app, caller, params, page }) {
    let vms = selectVms(app.db).orderBy('vm.number', 'desc').where('vm.removed', 'is', null)
    vms = narrowToOwner(vms, 'vm.account_id', caller, params)
    if (params.id) vms = vms.where('vm.id', '=', params.id)
    if (params.ids) vms = vms.where('vm.id', 'in', params.ids)
    if (params.name) vms = vms.where('vm.name', 'ilike', containing(params.name))
    if (params.state === 'Present') vms = vms.where('vm.state', 'not in', [...gone])
    else if (params.state) vms = vms.where('vm.state', '=', params.state as 'Running')
    else if (!isAdmin(caller)) vms = vms.where('vm.state', 'not in', [...gone])
    if (params.zoneid) vms = vms.where('vm.zone_id', '=', params.zoneid)
    if (params.hostid) vms = vms.where('vm.host_id', '=', params.hostid)
    if (params.templateid) vms = vms.where('vm.template_id', '=', params.templateid)
    if (params.serviceofferingid) vms = vms.where('vm.service_offering_id', '=', params.serviceofferingid)
    if (params.userid) vms = vms.where('vm.user_id', '=', params.userid)
    if (params.hypervisor) vms = vms.where('vm.hypervisor', '=', params.hypervisor as 'KVM')
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
    const { count, items } = await pageOf(vms, page)
    if (params.details?.includes('min')) return { count, items }
    const lineages = await lineagesOf(
      app.db,
      items.flatMap(({ root_layer_id }) => root_layer_id ?? []),
    )
    return {
      count,
      items: items.map(vm => ({ ...vm, lineage: vm.root_layer_id ? lineages.get(vm.root_layer_id) : undefined })),
    }
  },
})
