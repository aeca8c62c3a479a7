// A setting on the wire.
import type { Setting } from '@ramet/core/settings.ts'
import { boolean, string, view } from '../view.ts'

export type ShownSetting = Setting & { readonly default: string }

export const configurationView = view<ShownSetting>('configuration', {
  name: string('the name of the setting', setting => setting.name),
  value: string('its value, here', setting => setting.value),
  defaultvalue: string('its value when nothing is set', setting => setting.default),
  description: string('what it does', setting => setting.description),
  displaytext: string('what it does', setting => setting.description),
  category: string('the group it belongs to', setting => setting.category),
  scope: string('Global, or StoragePool where pools may differ', setting => setting.scope),
  type: string('Boolean, Integer or String', setting => setting.type),
  isdynamic: boolean('whether a change works at once', () => true),
})
