// Things that accounts own: whose a list shows, and for whom a call acts. Administrators may name an account or a domain
// within their reach; to everybody else the same parameters are open only for themselves.
import { Problem } from '@ramet/core/problem.ts'
import { type RawBuilder, type SelectQueryBuilder, sql, type SqlBool, type StringReference } from 'kysely'
import type { App } from '../app.ts'
import { demandStaying } from '../store/accounts.ts'
import type { Row } from '../store/tables.ts'
import { accountsInReach, type Caller, demandOwned, isAdmin, liesIn, unknownId } from './caller.ts'
import { flag, id, invalid, text, type Values } from './parameters.ts'

/** For commands that make or name something of an account. */
export const ownerParameters = {
  account: text('name of the account; the own one when absent'),
  domainid: id<'domain'>('domain of the account; the own one when absent'),
  projectid: text('accepted for its clients; there are no projects, so only -1 is valid'),
}

/** For lists of what accounts own. */
export const ownershipParameters = {
  ...ownerParameters,
  account: text('only what this account owns'),
  domainid: id<'domain'>('only what accounts of this domain own; with account: the domain of the account'),
  isrecursive: flag('with domainid: also what accounts of its subdomains own'),
  listall: flag('true: all that the caller may see; otherwise only what the caller owns'),
}

type Owner = Values<typeof ownerParameters>
type Ownership = Values<typeof ownershipParameters> & { readonly id?: unknown; readonly ids?: unknown }

/** The account that a call acts for. */
export async function ownerOf(app: App, caller: Caller, params: Owner): Promise<Row<'account'>> {
  refuseProject(params)
  if (caller.account.type === 'User') refuseOthers(caller, params)
  if ((params.account ?? params.domainid) === undefined) return caller.account
  const owner = await accountNamed(app, caller, params.account ?? caller.account.name, params.domainid)
  demandStaying(owner)
  return owner
}

/** The account of that name in a domain, the caller's own when none is named, if the caller speaks for it. */
export async function accountNamed(
  app: App,
  caller: Caller,
  name: string,
  domainid: Row<'domain'>['id'] | undefined,
): Promise<Row<'account'>> {
  const domain = domainid === undefined ? caller.domain : await domainInReach(app, caller, domainid)
  const account = await app.db
    .selectFrom('account')
    .selectAll()
    .where('domain_id', '=', domain.id)
    .where('name', '=', name)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (!account) throw invalid('account', `names no account of domain ${domain.path} (domainid): there is no "${name}"`)
  await demandOwned(app, caller, { account_id: account.id }, 'account', name)
  return account
}

/** The domain, if it is there and the caller is an administrator of it or of one above. */
export async function domainInReach(
  app: App,
  caller: Caller,
  wanted: Row<'domain'>['id'],
  parameter = 'domainid',
): Promise<Row<'domain'>> {
  const domain = await app.db
    .selectFrom('domain')
    .selectAll()
    .select(liesIn(sql.ref('path'), sql.val(caller.domain.path)).as('isBelow'))
    .where('id', '=', wanted)
    .where('removed', 'is', null)
    .executeTakeFirst()
  if (!domain) throw unknownId(parameter, wanted)
  if (isAdmin(caller) || domain.id === caller.domain.id || (domain.isBelow && caller.account.type !== 'User'))
    return domain
  throw new Problem(
    'forbidden',
    'not-your-domain',
    `Account ${caller.account.name} may not use domain ${wanted} of parameter ${parameter}: it is not below ${caller.domain.path}`,
  )
}

/** `query`, narrowed by `column`, which holds the owner, to what the caller asks for and may see. */
export function narrowToOwner<DB, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  column: StringReference<DB, TB>,
  caller: Caller,
  params: Ownership,
): SelectQueryBuilder<DB, TB, O> {
  return query.where(isOwnerAsked(column, caller, params))
}

/** The same as a condition, for lists that show more than what is owned. */
export function isOwnerAsked(column: string, caller: Caller, params: Ownership): RawBuilder<SqlBool> {
  refuseProject(params)
  if (caller.account.type === 'User') refuseOthers(caller, params)
  const owner = sql.ref(column)
  const reach = accountsInReach(caller)
  const isInReach = reach ? sql<SqlBool>`${owner} in (${reach})` : sql<SqlBool>`true`
  if ((params.account ?? params.domainid) !== undefined)
    return sql<SqlBool>`(${owner} in (${accountsAskedFor(caller, params)}) and ${isInReach})`
  // Who names an id wants that one thing, whoever owns it.
  const named = params.id !== undefined || params.ids !== undefined
  return params.listall || named ? isInReach : sql<SqlBool>`${owner} = ${caller.account.id}`
}

/** An account without a domain is looked for in the caller's own. */
function accountsAskedFor(caller: Caller, { account, domainid, isrecursive }: Ownership): RawBuilder<unknown> {
  const isInside = isrecursive ? liesIn(sql.ref('d.path'), sql.ref('top.path')) : sql`d.id = top.id`
  const isNamed = account === undefined ? sql`true` : sql`a.name = ${account}`
  return sql`
    select a.id from account a join domain d on d.id = a.domain_id, domain top
    where top.id = ${domainid ?? caller.domain.id} and ${isInside} and ${isNamed}`
}

/** Says the same of accounts that exist and of others, so that names cannot be found out. */
function refuseOthers(caller: Caller, { account, domainid }: Owner): void {
  const { account: own, domain } = caller
  if ((account ?? own.name) === own.name && (domainid ?? domain.id) === domain.id) return
  throw new Problem(
    'forbidden',
    'not-yours',
    `Account ${own.name} may act only for itself: leave out account and domainid`,
  )
}

function refuseProject({ projectid }: Owner): void {
  if (projectid && projectid !== '-1') throw unknownId('projectid', projectid)
}

/** The domain, for whoever may change it: not its own administrators, but those above. ROOT stays as it is. */
export async function managedDomain(app: App, caller: Caller, wanted: Row<'domain'>['id']): Promise<Row<'domain'>> {
  const domain = await domainInReach(app, caller, wanted, 'id')
  if (domain.level === 0) throw new Problem('refused', 'root-domain', 'Parameter id: the domain ROOT stays as it is')
  if (domain.id !== caller.domain.id || isAdmin(caller)) return domain
  throw new Problem(
    'forbidden',
    'own-domain',
    'Parameter id: a domain is changed by administrators of a domain above it',
  )
}
