// User data: what cloud-init reads at a machine's first boot, base64 on the wire. Anything beyond some kilobytes has to come by
// POST, since a URL has no room for it.
import type { App } from '../app.ts'
import { invalid, longText } from './parameters.ts'

/** The most that `vm.userdata.max.length` may allow, as base64 with line breaks. */
const longest = 1_500_000

export function userData(description: string) {
  return longText(`${description}; its size is limited by vm.userdata.max.length; by POST where it is large`, longest)
}

/** The user data as it is kept, judged; null when there is none. */
export function demandUserData({ settings }: Pick<App, 'settings'>, given: string | undefined): string | null {
  if (!given) return null
  const packed = given.replaceAll(/\s/g, '').replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
  if (!/^[A-Za-z0-9+/]*$/.test(packed) || packed.length % 4 === 1)
    throw invalid('userdata', 'is not base64; encode it, for example by base64 -w0')
  const bytes = Buffer.from(packed, 'base64')
  const most = settings.number('vm.userdata.max.length')
  if (bytes.length > most)
    throw invalid('userdata', `has ${bytes.length} bytes decoded; at most ${most} are allowed (vm.userdata.max.length)`)
  return bytes.toString('base64')
}
