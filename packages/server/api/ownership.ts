// Things that accounts own: whose a list shows, and for whom a call acts. Administrators may name an account or a domain;
// to everybody else the same parameters are open only for themselves.
import { Problem } from '@ramet/core/problem.ts'
import { type RawBuilder, type SelectQueryBuilder, sql, type SqlBool, type StringReference } from 'kysely'
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, isAdmin, unknownId, visibleAccount } from './caller.ts'
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
  if (!isAdmin(caller)) refuseOthers(caller, params)
  if (!isAdmin(caller) || (params.account ?? params.domainid) === undefined) return caller.account
  const domain = await domainNamed(app, caller, params)
  return accountNamed(app, domain, params.account ?? caller.account.name)
}

/** `query`, narrowed by `column`, which holds the owner, to what the caller asks for and may see. */
export function narrowToOwner<DB, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  column: StringReference<DB, TB>,
  caller: Caller,
  params: Ownership,
): SelectQueryBuilder<DB, TB, O> {
  refuseProject(params)
  const owner = sql.ref(column)
  if (isAdmin(caller) && (params.account ?? params.domainid) !== undefined)
    return query.where(sql<SqlBool>`${owner} in (${accountsAskedFor(caller, params)})`)
  if (!isAdmin(caller)) refuseOthers(caller, params)
  // Who names an id wants that one thing, whoever owns it.
  const named = params.id !== undefined || params.ids !== undefined
  const account = visibleAccount(caller, (params.listall ?? false) || named)
  return account ? query.where(sql<SqlBool>`${owner} = ${account}`) : query
}

/** An account without a domain is looked for in the caller's own. */
function accountsAskedFor(caller: Caller, { account, domainid, isrecursive }: Ownership): RawBuilder<unknown> {
  const inside = isrecursive ? sql`starts_with(d.path || '/', rtrim(top.path, '/') || '/')` : sql`d.id = top.id`
  const named = account === undefined ? sql`true` : sql`a.name = ${account}`
  return sql`
    select a.id from account a join domain d on d.id = a.domain_id, domain top
    where top.id = ${domainid ?? caller.domain.id} and ${inside} and ${named}`
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

async function domainNamed(app: App, caller: Caller, { domainid }: Owner): Promise<Row<'domain'>> {
  if (domainid === undefined) return caller.domain
  const domain = await app.db.selectFrom('domain').selectAll().where('id', '=', domainid).executeTakeFirst()
  if (!domain) throw unknownId('domainid', domainid)
  return domain
}

async function accountNamed(app: App, domain: Row<'domain'>, name: string): Promise<Row<'account'>> {
  const account = await app.db
    .selectFrom('account')
    .selectAll()
    .where('domain_id', '=', domain.id)
    .where('name', '=', name)
    .executeTakeFirst()
  if (!account) throw invalid('account', `names no account of domain ${domain.path}: there is no "${name}"`)
  return account
}
