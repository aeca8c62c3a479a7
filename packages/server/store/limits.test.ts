import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type AccountId, type DomainId, newId } from '@ramet/core/ids.ts'
import type { LimitedResource } from '@ramet/core/limits.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aDeployment, aTemplate, type Lab, simulatedLab } from '../testing/lab.ts'
import { type Demand, holdRoom } from './limits.ts'
import type { AccountType } from './tables.ts'

describe('room for something new', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const domain = async (path: string, parent?: DomainId): Promise<DomainId> => {
    const id = newId<'domain'>()
    const level = path.split('/').length - 1
    await lab.app.db
      .insertInto('domain')
      .values({ id, name: path, path, level, parent_id: parent ?? null })
      .execute()
    return id
  }
  const account = async (domain_id: DomainId, type: AccountType = 'User'): Promise<AccountId> => {
    const id = newId<'account'>()
    await lab.app.db.insertInto('account').values({ id, domain_id, name: id, type }).execute()
    return id
  }
  const limit = (owner: { account_id: AccountId } | { domain_id: DomainId }, resource: LimitedResource, most: number) =>
    lab.app.db
      .insertInto('resource_limit')
      .values({ ...owner, resource, most })
      .execute()
  const hold = (owner: AccountId, demand: Demand) => lab.app.db.transaction().execute(tx => holdRoom(tx, owner, demand))
  const refused = (message: RegExp) => ({ kind: 'over-limit', code: 'over-limit', message })

  test('is bounded by the settings until the account has a limit of its own', async () => {
    const owner = await account(await domain('/settings'))
    await hold(owner, { vm: 20 })
    await assert.rejects(
      hold(owner, { vm: 21 }),
      refused(/has 0 of at most 20 virtual machines, and this would add 21/),
    )
    await limit({ account_id: owner }, 'user_vm', 25)
    await hold(owner, { vm: 25 })
    await limit({ account_id: owner }, 'primary_storage', 1)
    await hold(owner, { primaryBytes: 2 ** 30 })
    await assert.rejects(hold(owner, { primaryBytes: 1.5 * 2 ** 30 }), refused(/1 GiB of primary storage.*add 1\.5/))
  })

  test('is bounded by every domain above the account, and counts all accounts below it', async () => {
    const top = await domain('/top')
    const below = await domain('/top/below', top)
    const beside = await domain('/topper')
    const [one, other, foreign] = [await account(top), await account(below), await account(beside)]
    await limit({ domain_id: top }, 'user_vm', 2)
    await hold(foreign, { vm: 3 })
    await assert.rejects(hold(other, { vm: 3 }), refused(/^Domain \/top has 0 of at most 2/))
    const { vm } = await aDeployment(lab, await aTemplate(lab))
    await lab.app.db.updateTable('vm').set({ account_id: one }).where('id', '=', vm).execute()
    await assert.rejects(hold(other, { vm: 2 }), refused(/^Domain \/top has 1 of at most 2/))
    await lab.app.db.updateTable('vm').set({ state: 'Destroyed' }).where('id', '=', vm).execute()
    await hold(other, { vm: 2 })
  })

  test('is without bound for administrators of ROOT, and where the limit is -1', async () => {
    const { id: root } = await lab.app.db
      .selectFrom('domain')
      .select('id')
      .where('level', '=', 0)
      .executeTakeFirstOrThrow()
    await hold(await account(root, 'Admin'), { vm: 1_000_000 })
    const owner = await account(root)
    await limit({ account_id: owner }, 'cpu', -1)
    await hold(owner, { cpu: 1_000_000 })
  })

  test('goes to one of two calls that want the last of it at once', async () => {
    const owner = await account(await domain('/race'))
    await limit({ account_id: owner }, 'template', 1)
    const make = () =>
      lab.app.db.transaction().execute(async tx => {
        await holdRoom(tx, owner, { template: 1 })
        const id = await aTemplate(lab)
        await tx.updateTable('template').set({ account_id: owner }).where('id', '=', id).execute()
      })
    const outcomes = await Promise.allSettled([make(), make(), make(), make()])
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  test('is not given to an account that is being deleted', async () => {
    const owner = await account(await domain('/ending'))
    await lab.app.db.updateTable('account').set({ cleanup_needed: true }).where('id', '=', owner).execute()
    await assert.rejects(hold(owner, {}), { code: 'account-ending' })
  })
})
