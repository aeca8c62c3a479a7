// Settings as the server reads them: the pool's value, else the global one, else the default from core/settings.ts.
// All are held in memory, since every deployment asks; a change reloads them here and, by notification, on every server.
import type { StoragePoolId } from '@ramet/core/ids.ts'
import { type SettingName, settingNamed } from '@ramet/core/settings.ts'
import type { Db } from './store/database.ts'

export interface Settings {
  text(name: SettingName, pool?: StoragePoolId | null): string
  number(name: SettingName): number
  flag(name: SettingName, pool?: StoragePoolId | null): boolean
  reload(): Promise<void>
  /** Calls `listener` after every reload. */
  onReload(listener: () => Promise<void>): void
}

export async function loadSettings(db: Db): Promise<Settings> {
  let changed = await readChanged(db)
  const listeners: (() => Promise<void>)[] = []
  const settings: Settings = {
    text: (name, pool) =>
      (pool && changed.get(key(name, pool))) ?? changed.get(key(name)) ?? settingNamed(name)?.value ?? '',
    number: name => Number(settings.text(name)),
    flag: (name, pool) => settings.text(name, pool) === 'true',
    reload: async () => {
      changed = await readChanged(db)
      for (const listener of listeners) await listener()
    },
    onReload: listener => void listeners.push(listener),
  }
  return settings
}

function key(name: string, pool?: StoragePoolId): string {
  return pool ? `${name} ${pool}` : name
}

async function readChanged(db: Db): Promise<Map<string, string>> {
  const global = await db.selectFrom('configuration').select(['name', 'value']).execute()
  const ofPools = await db.selectFrom('storage_pool_configuration').select(['name', 'value', 'pool_id']).execute()
  return new Map([
    ...global.map(({ name, value }) => [key(name), value] as const),
    ...ofPools.map(({ name, value, pool_id }) => [key(name, pool_id), value] as const),
  ])
}
