// Who may use a template or an ISO besides its owner: everybody, or accounts that are named. Both sorts of image share it.
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'
import { type Caller, isAdmin } from './caller.ts'
import { changing } from './changing.ts'
import type { Answer } from './command.ts'
import { choice, flag, id, invalid, list, text, type Values } from './parameters.ts'
import { type ImageKind, imageOfCall } from './template-call.ts'
import { list as listField, boolean, string, view } from './view.ts'

export const permissionParameters = {
  id: id<'template'>('the template or ISO').must,
  op: choice('what happens to the accounts: named ones are added or removed, reset removes all and makes it private', [
    'add',
    'remove',
    'reset',
  ]),
  accounts: list('names of accounts of its domain', text('a name')),
  ispublic: flag('everybody may use it'),
  isfeatured: flag('show it first; administrators only'),
  isextractable: flag('it can be downloaded'),
}

export async function updatePermissions(
  app: App,
  caller: Caller,
  kind: ImageKind,
  given: Values<typeof permissionParameters>,
): Promise<Answer> {
  const image = await imageOfCall(app, caller, given.id, kind)
  const { op, accounts: names = [] } = given
  if (names.length > 0 && op !== 'add' && op !== 'remove')
    throw invalid('op', 'must be add or remove when accounts are named')
  if (given.isfeatured !== undefined && !isAdmin(caller))
    throw new Problem('forbidden', 'featured-by-admins', 'Only administrators say what is featured')
  const accounts = await Promise.all(names.map(name => neighbour(app, image, name)))
  await changing({ app, caller }, async (tx, tell) => {
    const { id: template_id, name } = image
    if (op === 'reset') await tx.deleteFrom('launch_permission').where('template_id', '=', template_id).execute()
    for (const account_id of accounts)
      if (op === 'add')
        await tx
          .insertInto('launch_permission')
          .values({ template_id, account_id })
          .onConflict(conflict => conflict.doNothing())
          .execute()
      else
        await tx
          .deleteFrom('launch_permission')
          .where('template_id', '=', template_id)
          .where('account_id', '=', account_id)
          .execute()
    await tx
      .updateTable('template')
      .set({
        is_public: given.ispublic ?? (op === 'reset' ? false : undefined),
        is_featured: given.isfeatured ?? (op === 'reset' ? false : undefined),
        is_extractable: given.isextractable ?? image.is_extractable,
      })
      .where('id', '=', template_id)
      .execute()
    const type = kind === 'iso' ? 'ISO.PERMISSIONS.UPDATE' : 'TEMPLATE.PERMISSIONS.UPDATE'
    await tell({ type, description: `changed who may use ${name}`, resourceType: 'Template', resource: template_id })
  })
  return { success: true }
}

/** Accounts are named by those of the owner's domain, as upstream has it. */
async function neighbour(app: App, image: Row<'template'>, name: string): Promise<Row<'account'>['id']> {
  const account = await app.db
    .selectFrom('account')
    .innerJoin('account as owner', 'owner.domain_id', 'account.domain_id')
    .select('account.id')
    .where('owner.id', '=', image.account_id)
    .where('account.name', '=', name)
    .where('account.removed', 'is', null)
    .executeTakeFirst()
  if (!account) throw invalid('accounts', `names "${name}", which is no account of the domain of its owner`)
  return account.id
}

export interface Permissions {
  readonly id: string
  readonly isPublic: boolean
  readonly domain: string
  readonly accounts: readonly string[]
}

export async function permissionsOf(
  app: App,
  caller: Caller,
  kind: ImageKind,
  given: Row<'template'>['id'],
): Promise<Permissions> {
  const image = await imageOfCall(app, caller, given, kind)
  const granted = await app.db
    .selectFrom('launch_permission')
    .innerJoin('account', 'account.id', 'launch_permission.account_id')
    .select('account.name')
    .where('template_id', '=', image.id)
    .orderBy('account.name')
    .execute()
  const { domain_id } = await app.db
    .selectFrom('account')
    .select('domain_id')
    .where('id', '=', image.account_id)
    .executeTakeFirstOrThrow()
  return { id: image.id, isPublic: image.is_public, domain: domain_id, accounts: granted.map(({ name }) => name) }
}

export const permissionView = (object: 'templatepermission' | 'isopermission') =>
  view<Permissions>(object, {
    id: string('the id of the template or ISO', each => each.id),
    ispublic: boolean('whether everybody may use it', each => each.isPublic),
    domainid: string('the domain of its owner', each => each.domain),
    account: listField('names of the accounts that may use it too', each => each.accounts),
  })
