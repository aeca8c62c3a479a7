// Settings as the API names and changes them: by name, for everybody or for one storage pool.
import { type Setting, type SettingName, settings } from '@ramet/core/settings.ts'
import type { StoragePoolId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { App } from '../app.ts'
import { recordEvent } from '../store/events.ts'
import type { Tx } from '../store/database.ts'
import { type Caller, unknownId } from './caller.ts'
import { id, invalid, text, type Values } from './parameters.ts'
import type { ShownSetting } from './views/configuration.ts'

/** Where a setting applies. Only storage pools have settings of their own here; other scopes are refused, not forgotten. */
export const scopeParameters = {
  storageid: id<'storage-pool'>('the storage pool for which the setting is meant; for all of them when absent'),
  zoneid: text('settings of zones; there are none'),
  clusterid: text('settings of clusters; there are none'),
  accountid: text('settings of accounts; there are none'),
  domainid: text('settings of domains; there are none'),
  imagestoreuuid: text('settings of image stores; there are none'),
}

/** A setting whose name is known to exist. */
type KnownSetting = Setting & { readonly name: SettingName }

type Scope = Values<typeof scopeParameters>

export function hasForeignScope(scope: Scope): boolean {
  return foreignScope(scope) !== undefined
}

/** The parameter that names a scope which has no settings of its own here. */
function foreignScope(scope: Scope): string | undefined {
  return (['zoneid', 'clusterid', 'accountid', 'domainid', 'imagestoreuuid'] as const).find(name => scope[name])
}

/** The setting that a call is about and the pool it is meant for, if it can be. */
export async function demandSetting(
  app: App,
  name: string,
  scope: Scope,
): Promise<{ setting: KnownSetting; pool: StoragePoolId | null }> {
  const setting = settings.find(each => each.name === name)
  if (!setting) throw invalid('name', `names no setting: there is no "${name}"`)
  const foreign = foreignScope(scope)
  if (foreign) throw wrongScope(setting, foreign, 'zones, clusters, accounts, domains or image stores')
  if (!scope.storageid) return { setting, pool: null }
  if (setting.scope !== 'StoragePool') throw wrongScope(setting, 'storageid', 'storage pools')
  await demandPool(app, scope.storageid)
  return { setting, pool: scope.storageid }
}

export async function demandPool(app: App, pool: StoragePoolId): Promise<void> {
  const row = await app.db.selectFrom('storage_pool').select('id').where('id', '=', pool).executeTakeFirst()
  if (!row) throw unknownId('storageid', pool)
}

function wrongScope({ name }: Setting, parameter: string, scope: string): Problem {
  const message = `Parameter ${parameter === 'imagestoreuuid' ? 'imagestoreuuid (imagestoreid)' : parameter}: setting ${name} cannot be set for single ${scope}`
  return new Problem('invalid', 'wrong-setting-scope', message)
}

export function shownSetting(app: App, setting: KnownSetting, pool: StoragePoolId | null): ShownSetting {
  return { ...setting, default: setting.value, value: app.settings.text(setting.name, pool) }
}

/** Makes a change with the event that tells of it; afterwards every reader sees the new value. */
export async function changeSetting(
  app: App,
  caller: Caller,
  { setting, pool }: { setting: KnownSetting; pool: StoragePoolId | null },
  description: string,
  change: (tx: Tx) => Promise<unknown>,
): Promise<ShownSetting> {
  await app.db.transaction().execute(async tx => {
    await change(tx)
    await recordEvent(tx, {
      type: 'CONFIGURATION.VALUE.EDIT',
      description: pool ? `${description} for storage pool ${pool}` : description,
      account: caller.account.id,
      user: caller.user.id,
      resourceType: pool ? 'StoragePool' : 'Configuration',
      resource: pool,
    })
  })
  await app.settings.reload()
  return shownSetting(app, setting, pool)
}
