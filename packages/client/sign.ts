// The signature of a call made with an API key: CloudStack's version 3, which also says when the call expires.
import { createHmac } from 'node:crypto'

const lifetimeMs = 10 * 60_000

export interface Keys {
  readonly apikey: string
  readonly secretkey: string
}

/** `parameters` with the key, the time of expiry and the signature: the form that is sent. */
export function signed(parameters: ReadonlyMap<string, string>, keys: Keys, now: Date): URLSearchParams {
  const all = new Map(parameters)
  all.set('apikey', keys.apikey)
  all.set('signatureversion', '3')
  all.set('expires', asDate(new Date(now.getTime() + lifetimeMs)))
  return new URLSearchParams([...all, ['signature', signatureOf(all, keys.secretkey)]])
}

export function signatureOf(parameters: ReadonlyMap<string, string>, secretkey: string): string {
  return createHmac('sha1', secretkey).update(textToSign(parameters)).digest('base64')
}

/** Sorted by name, values encoded, names as they are, and then all in lower case. */
export function textToSign(parameters: ReadonlyMap<string, string>): string {
  const pairs = [...parameters].map(([name, value]) => [name.toLowerCase(), encode(value).toLowerCase()] as const)
  pairs.sort(([a], [b]) => (a < b ? -1 : 1))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

/** As Java's URLEncoder does it, which is stricter than JavaScript; but a space is %20. */
function encode(value: string): string {
  return encodeURIComponent(value).replace(/[!'()]/g, letter => `%${letter.charCodeAt(0).toString(16)}`)
}

function asDate(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, '+0000')
}
