// Keeping an account's SSH keys: what registering a key and making one have in common.
import { newId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { recordEvent } from '../store/events.ts'
import type { Tx } from '../store/database.ts'
import type { Row } from '../store/tables.ts'
import type { Caller } from './caller.ts'
import type { PublicKey } from './ssh-keys.ts'
import type { ListedKeyPair } from './views/ssh-key-pair.ts'

export async function keepPublicKey(
  app: App,
  caller: Caller,
  owner: Row<'account'>,
  name: string,
  key: PublicKey,
): Promise<ListedKeyPair> {
  return app.db.transaction().execute(async tx => {
    const { id } = await insertKey(tx, owner, name, key)
    await recordEvent(tx, {
      type: 'REGISTER.SSH.KEYPAIR',
      description: `registered SSH key ${name}`,
      account: owner.id,
      user: caller.user.id,
      resourceType: 'SSHKeyPair',
      resource: id,
    })
    return selectKeyPairs(tx).where('ssh_key_pair.id', '=', id).executeTakeFirstOrThrow()
  })
}

async function insertKey(
  tx: Tx,
  owner: Row<'account'>,
  name: string,
  { line, fingerprint }: PublicKey,
): Promise<Pick<Row<'ssh_key_pair'>, 'id'>> {
  const row = await tx
    .insertInto('ssh_key_pair')
    .values({ id: newId(), account_id: owner.id, name, fingerprint, public_key: line })
    .onConflict(conflict => conflict.columns(['account_id', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (row) return row
  throw new Problem('refused', 'key-name-taken', `Account ${owner.name} has an SSH key named ${name} already`)
}

export function selectKeyPairs(db: App['db'] | Tx) {
  return db
    .selectFrom('ssh_key_pair')
    .innerJoin('account', 'account.id', 'ssh_key_pair.account_id')
    .innerJoin('domain', 'domain.id', 'account.domain_id')
    .select(['ssh_key_pair.id', 'ssh_key_pair.account_id', 'ssh_key_pair.name', 'ssh_key_pair.fingerprint'])
    .select(['account.name as account_name', 'domain.id as domain_id', 'domain.name as domain_name'])
}
