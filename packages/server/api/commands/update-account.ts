import type { DomainId } from '@ramet/core/ids.ts'
import { demandFreeAccountName, demandNotFirst, holdAccount } from '../../store/accounts.ts'
import type { Tx } from '../../store/database.ts'
import { recordEvent } from '../../store/events.ts'
import { listedAccount } from '../accounts.ts'
import { objectCommand } from '../command.ts'
import { accountOfCall, accountParameters, chosenRole, refuseSelf, roleParameters } from '../identity.ts'
import { invalid, label, map, text } from '../parameters.ts'
import { accountView } from '../views/account.ts'

export const updateAccount = objectCommand({
  name: 'updateAccount',
  description: 'Changes name, role or notes of an account',
  permission: 'domain-admin',
  params: {
    ...accountParameters,
    newname: label('new name, unique in its domain'),
    roleid: roleParameters.roleid,
    networkdomain: text('DNS domain for its networks; it is kept and shown'),
    accountdetails: map('notes about it, in place of the ones before'),
  },
  view: accountView,
  async run({ app, caller, params }) {
    const found = await accountOfCall(app, caller, params)
    const role = chosenRole(caller, { roleid: params.roleid })
    if (role && role.type !== found.type) refuseSelf(caller, { account: found.id }, 'change the role of')
    await app.db.transaction().execute(async tx => {
      const account = await holdAccount(tx, found.id)
      if (role && role.type !== account.type) {
        demandNotFirst(account)
        if (role.type === 'Admin') await demandRoot(tx, account.domain_id)
      }
      if (params.newname && params.newname !== account.name)
        await demandFreeAccountName(tx, account.domain_id, params.newname, 'newname')
      await tx
        .updateTable('account')
        .set({
          ...(params.newname && { name: params.newname }),
          ...(role && { type: role.type }),
          ...(params.networkdomain !== undefined && { network_domain: params.networkdomain || null }),
          ...(params.accountdetails.size > 0 && { details: JSON.stringify(Object.fromEntries(params.accountdetails)) }),
        })
        .where('id', '=', account.id)
        .execute()
      await recordEvent(tx, {
        type: 'ACCOUNT.UPDATE',
        description: `changed account ${params.newname ?? account.name}`,
        account: account.id,
        user: caller.user.id,
        resourceType: 'Account',
        resource: account.id,
      })
    })
    return listedAccount(app.db, found.id)
  },
})

async function demandRoot(tx: Tx, domain: DomainId): Promise<void> {
  const row = await tx.selectFrom('domain').select('level').where('id', '=', domain).executeTakeFirstOrThrow()
  if (row.level > 0) throw invalid('roleid', 'is that of root administrators, who belong to the domain ROOT')
}
