// Addresses of IPv4 as numbers.

export interface Subnet {
  /** The first address, which names the network. */
  readonly network: string
  readonly netmask: string
  readonly prefix: number
  contains(address: string): boolean
}

/** Null when the text is none: a.b.c.d/n, with n from 8 to 30 and no bit set behind it. */
export function parseSubnet(cidr: string): Subnet | null {
  const [, base = '', bits = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(cidr) ?? []
  const [first, prefix] = [numberOf(base), Number(bits)]
  if (first === null || prefix < 8 || prefix > 30) return null
  const size = 2 ** (32 - prefix)
  if (first % size !== 0) return null
  return {
    network: base,
    netmask: textOf(2 ** 32 - size),
    prefix,
    // The first address names the network, and the last one means everybody in it.
    contains(address) {
      const number = numberOf(address)
      return number !== null && number > first && number < first + size - 1
    },
  }
}

function numberOf(address: string): number | null {
  const parts = address.split('.').map(part => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256))
  if (parts.length !== 4 || parts.some(part => part > 255)) return null
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(number / 2 ** shift) % 256).join('.')
}
