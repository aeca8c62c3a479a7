// An instance group on the wire.
import type { ListedGroup } from '../../store/instance-groups.ts'
import { date, string, view } from '../view.ts'

export const instanceGroupView = view<ListedGroup>('instancegroup', {
  id: string('the id of the group', group => group.id),
  name: string('its name', group => group.name),
  account: string('the account that owns it', group => group.account_name),
  domain: string('the domain of its account', group => group.domain_name),
  domainid: string('the id of that domain', group => group.domain_id),
  domainpath: string('the path of that domain', group => group.domain_path),
  created: date('when it was made', group => group.created),
})
