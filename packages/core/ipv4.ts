// IPv4 addresses and networks as people write them: 10.1.0.7, 10.1.0.0/16, 255.255.0.0.

/** A network by the numbers of its first and last address. */
export interface Range {
  readonly first: number
  readonly last: number
}

/** The address as a number, or null when `text` is none. */
export function addressNumber(text: string): number | null {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return null
  const bytes = text.split('.').map(Number)
  return bytes.every(byte => byte < 256) ? bytes.reduce((sum, byte) => sum * 256 + byte, 0) : null
}

export function addressText(number: number): string {
  return [24, 16, 8, 0].map(bits => Math.floor(number / 2 ** bits) % 256).join('.')
}

/** What a CIDR covers, or null when `text` is none, or names a host inside of a network. */
export function rangeOf(cidr: string): Range | null {
  const [address = '', length = '', ...rest] = cidr.split('/')
  const first = addressNumber(address)
  if (first === null || rest.length > 0 || !/^(\d|[12]\d|3[0-2])$/.test(length)) return null
  const size = 2 ** (32 - Number(length))
  return first % size === 0 ? { first, last: first + size - 1 } : null
}

/** What machines and the gateway may have: all but the network's own address, and the one for all. */
export function usableOf(cidr: string): Range | null {
  const range = rangeOf(cidr)
  return range && range.last - range.first >= 3 ? { first: range.first + 1, last: range.last - 1 } : null
}

export function netmaskOf(cidr: string): string {
  return addressText(2 ** 32 - 2 ** (32 - Number(cidr.split('/')[1])))
}

/** The network of `address` under `netmask`, or null when either is none. */
export function cidrOf(address: string, netmask: string): string | null {
  const [number, mask] = [addressNumber(address), addressNumber(netmask)]
  if (number === null || mask === null) return null
  const size = 2 ** 32 - mask
  const bits = Math.log2(size)
  return Number.isInteger(bits) && bits <= 32 ? `${addressText(number - (number % size))}/${32 - bits}` : null
}

export function isWithin({ first, last }: Range, address: string): boolean {
  const number = addressNumber(address)
  return number !== null && first <= number && number <= last
}
