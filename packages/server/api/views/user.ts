// A user on the wire. Keys are shown by getUserKeys alone.
import { roleOf } from '@ramet/core/roles.ts'
import type { AccountType, Row } from '../../store/tables.ts'
import { boolean, date, integer, string, view } from '../view.ts'

export type ListedUser = Pick<
  Row<'user'>,
  'id' | 'account_id' | 'username' | 'firstname' | 'lastname' | 'email' | 'timezone' | 'state' | 'created'
> & {
  readonly account_name: string
  readonly account_type: AccountType
  readonly domain_id: string
  readonly domain_name: string
}

export const userView = view<ListedUser>('user', {
  id: string('the id of the user', user => user.id),
  username: string('the name to log in with', user => user.username),
  firstname: string('first name', user => user.firstname),
  lastname: string('last name', user => user.lastname),
  email: string('mail address', user => user.email),
  state: string('enabled, disabled or locked', user => user.state),
  account: string('the account the user belongs to', user => user.account_name),
  accountid: string('the id of that account', user => user.account_id),
  accounttype: integer(
    '0 user, 1 administrator, 2 administrator of a domain',
    user => roleOf(user.account_type).accountType,
  ),
  roletype: string('User, Admin or DomainAdmin', user => user.account_type),
  rolename: string('the name of that role', user => roleOf(user.account_type).name),
  roleid: string('the id of that role', user => roleOf(user.account_type).id),
  timezone: string('the time zone that was said for the user', user => user.timezone),
  domainid: string('the domain of the account', user => user.domain_id),
  domain: string('the name of that domain', user => user.domain_name),
  usersource: string('native: the user is known here', () => 'native'),
  is2faenabled: boolean('whether a second factor is asked for', () => false),
  created: date('when the user was made', user => user.created),
})
