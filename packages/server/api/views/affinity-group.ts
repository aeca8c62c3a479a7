// An affinity group on the wire, and the types that there are.
import type { AffinityType } from '@ramet/core/placement.ts'
import type { ListedAffinityGroup } from '../../store/affinity.ts'
import { list, string, view } from '../view.ts'

export const affinityGroupView = view<ListedAffinityGroup>('affinitygroup', {
  id: string('the id of the group', group => group.id),
  name: string('its name', group => group.name),
  type: string('host affinity: on one host; host anti-affinity: each on another', group => group.type),
  description: string('its description', group => group.description),
  account: string('the account that owns it', group => group.account_name),
  domain: string('the domain of its account', group => group.domain_name),
  domainid: string('the id of that domain', group => group.domain_id),
  domainpath: string('the path of that domain', group => group.domain_path),
  virtualmachineIds: list('the machines in it', group => group.vms),
})

export const affinityTypeView = view<AffinityType>('affinityGroupType', {
  type: string('a type of affinity group', type => type),
})
