// An account on the wire.
import type { Row } from '../../store/tables.ts'
import { accountTypes } from '../users.ts'
import { boolean, date, integer, long, nested, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'
import { type ListedUser, userView } from './user.ts'

export type ListedAccount = Row<'account'> & {
  readonly domain_name: string
  readonly domain_path: string
  readonly vms: number
  readonly vms_running: number
  readonly volumes: number
  readonly templates: number
  readonly networks: number
  readonly users?: readonly ListedUser[]
}

export const accountView = view<ListedAccount>('account', {
  id: string('the id of the account', account => account.id),
  name: string('its name', account => account.name),
  accounttype: integer(
    '0 user, 1 administrator, 2 administrator of a domain',
    account => accountTypes[account.type].number,
  ),
  roletype: string('User, Admin or DomainAdmin', account => account.type),
  rolename: string('the name of that role', account => accountTypes[account.type].role),
  state: string('enabled or disabled', account => account.state),
  domainid: string('its domain', account => account.domain_id),
  domain: string('the name of its domain', account => account.domain_name),
  domainpath: string('the path of its domain', account => pathOnWire(account.domain_path)),
  isdefault: boolean('whether it came with the installation', account => account.number === 1),
  vmtotal: long('its machines', account => account.vms),
  vmrunning: integer('those that run', account => account.vms_running),
  vmstopped: integer('those that do not', account => account.vms - account.vms_running),
  volumetotal: long('its volumes', account => account.volumes),
  templatetotal: long('its templates', account => account.templates),
  networktotal: long('its networks', account => account.networks),
  user: nested('its users', userView, account => account.users),
  created: date('when it was made', account => account.created),
})
