// The signature of a request made with API keys (cloudstack-api 1.2).
import { createHmac } from 'node:crypto'
import { sameBytes } from '../secrets.ts'

/** Java's URLEncoder with %20 for the space, as upstream computes it; Python and Go leave the tilde bare. */
function encode(value: string, tilde: '~' | '%7E'): string {
  return encodeURIComponent(value)
    .replaceAll(/[!'()]/g, character => `%${character.charCodeAt(0).toString(16)}`)
    .replaceAll('~', tilde)
}

type Pairs = readonly (readonly [name: string, value: string])[]

function sign(secret: string, pairs: Pairs, tilde: '~' | '%7E'): Buffer {
  const text = pairs.map(([name, value]) => `${name}=${encode(value, tilde)}`).join('&')
  return createHmac('sha1', secret).update(text.toLowerCase(), 'utf8').digest()
}

const byRawName = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
const byLowerName = (a: string, b: string) => byRawName(a.toLowerCase(), b.toLowerCase())

/** Whether `signature` (base64) is right for the parameters as they were named in the request, in any of the spellings. */
export function signatureMatches(secret: string, signature: string, parameters: Pairs): boolean {
  // Names are signed as they are. One that contains & or = would be another request of the same text, without its expiry.
  if (!parameters.every(([name]) => /^[\w.[\]-]+$/.test(name))) return false
  const given = Buffer.from(signature, 'base64')
  const signed = parameters.filter(([name]) => name.toLowerCase() !== 'signature')
  return [byRawName, byLowerName].some(order => {
    const sorted = signed.toSorted(([a], [b]) => order(a, b))
    return (['~', '%7E'] as const).some(tilde => sameBytes(sign(secret, sorted, tilde), given))
  })
}

/** When a version 3 request expires, or null when `expires` cannot be read. */
export function expiryTime(expires: string): Date | null {
  const time = new Date(expires.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'))
  return Number.isNaN(time.getTime()) ? null : time
}
