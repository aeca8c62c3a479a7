// Whose clones are: the account's that their source is of, or another's, where nothing is shared with that.
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import type { Row } from '../store/tables.ts'
import type { Vm } from '../store/vms.ts'
import type { Caller } from './caller.ts'
import { ownerOf, type ownerParameters } from './ownership.ts'
import type { Values } from './parameters.ts'

export type OwnerAsked = Values<typeof ownerParameters>

/** That of the source, unless the call names another that the caller speaks for. */
export async function ownerOfClones(app: App, caller: Caller, vm: Vm, asked: OwnerAsked): Promise<Row<'account'>> {
  if ((asked.account ?? asked.domainid ?? asked.projectid) !== undefined) return ownerOf(app, caller, asked)
  return app.db.selectFrom('account').selectAll().where('id', '=', vm.account_id).executeTakeFirstOrThrow()
}

/** Layers and memory images are files of their account's user, and pages that two accounts share would tell each what the other does. */
export function otherAccount({ name }: Vm, owner: Row<'account'>, isInstant: boolean): Problem {
  const shared = isInstant ? 'its memory and its disks' : 'its disks'
  return new Problem(
    'refused',
    'clone-of-other-account',
    `Such a clone of ${name} shares ${shared} with it, and accounts share neither; account ${owner.name} can have a full one: ask for clonetype=full`,
  )
}
