// An account on the wire.
import { roleOf } from '@ramet/core/roles.ts'
import type { Room } from '../../store/limits.ts'
import type { Row } from '../../store/tables.ts'
import { boolean, date, integer, long, map, nested, string, view } from '../view.ts'
import { pathOnWire } from './domain.ts'
import { roomFields } from './room.ts'
import { type ListedUser, userView } from './user.ts'

export type ListedAccount = Row<'account'> & {
  readonly domain_name: string
  readonly domain_path: string
  readonly vms: number
  readonly vms_running: number
  readonly networks: number
  readonly room: Room
  readonly users?: readonly ListedUser[]
}

export const accountView = view<ListedAccount>('account', {
  id: string('the id of the account', account => account.id),
  name: string('its name', account => account.name),
  accounttype: integer(
    '0 user, 1 administrator, 2 administrator of a domain',
    account => roleOf(account.type).accountType,
  ),
  roletype: string('User, Admin or DomainAdmin', account => account.type),
  rolename: string('the name of that role', account => roleOf(account.type).name),
  roleid: string('the id of that role', account => roleOf(account.type).id),
  state: string('enabled, disabled or locked', account => account.state),
  iscleanuprequired: boolean('whether its removal has begun', account => account.cleanup_needed),
  networkdomain: string('the DNS domain that was said for its networks', account => account.network_domain),
  accountdetails: map('what was noted about it', account => account.details),
  domainid: string('its domain', account => account.domain_id),
  domain: string('the name of its domain', account => account.domain_name),
  domainpath: string('the path of its domain', account => pathOnWire(account.domain_path)),
  isdefault: boolean('whether it came with the installation', account => account.number === 1),
  ...roomFields<ListedAccount>(account => account.room),
  vmrunning: integer('those that run', account => account.vms_running),
  vmstopped: integer('those that do not', account => account.vms - account.vms_running),
  networktotal: long('its networks', account => account.networks),
  user: nested('its users', userView, account => account.users),
  created: date('when it was made', account => account.created),
})
