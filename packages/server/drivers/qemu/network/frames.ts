// For tests: Ethernet frames as hexadecimal digits, as a-machine.pl takes and gives them.

export const everybody = 'ff:ff:ff:ff:ff:ff'

/** A station: its MAC and its address. */
export interface Station {
  readonly mac: string
  readonly address: string
}

export interface Udp {
  readonly from: Station & { readonly port?: number }
  readonly to: Station & { readonly port?: number }
  readonly payload: string | Buffer
}

export function ethernet(to: string, from: string, type: number, payload: Buffer): string {
  return Buffer.concat([macOf(to), macOf(from), word(type), payload]).toString('hex')
}

export function udp({ from, to, payload }: Udp): string {
  const data = Buffer.from(payload)
  // No checksum: that is allowed in IPv4.
  const packet = Buffer.concat([word(from.port ?? 9), word(to.port ?? 9), word(8 + data.length), word(0), data])
  return ethernet(to.mac, from.mac, 0x0800, ip(17, from.address, to.address, packet))
}

export function tcpData(from: Station, to: Station, bytes: number): string {
  const header = Buffer.concat([word(40_000), word(9), Buffer.alloc(8), Buffer.from([0x50, 0x10]), Buffer.alloc(6)])
  return ethernet(
    to.mac,
    from.mac,
    0x0800,
    ip(6, from.address, to.address, Buffer.concat([header, Buffer.alloc(bytes)])),
  )
}

export function tcpSyn(from: Station, to: Station, port: number): string {
  const header = Buffer.concat([word(40_000), word(port), Buffer.alloc(8), Buffer.from([0x50, 2]), word(1024)])
  const segment = Buffer.concat([header, word(0), word(0)])
  const pseudo = Buffer.concat([ipOf(from.address), ipOf(to.address), word(6), word(segment.length)])
  segment.writeUInt16BE(checksum(Buffer.concat([pseudo, segment])), 16)
  return ethernet(to.mac, from.mac, 0x0800, ip(6, from.address, to.address, segment))
}

export function ping(from: Station, to: Station): string {
  const message = Buffer.concat([Buffer.from([8, 0]), word(0), word(1), word(1)])
  message.writeUInt16BE(checksum(message), 2)
  return ethernet(to.mac, from.mac, 0x0800, ip(1, from.address, to.address, message))
}

/** `inner`: who the message itself says that it is from. */
export function arp(operation: 'ask' | 'answer', from: string, inner: Station, about: string): string {
  const kind = operation === 'ask' ? 1 : 2
  const message = Buffer.concat([word(1), word(0x0800), Buffer.from([6, 4]), word(kind)])
  const stations = Buffer.concat([macOf(inner.mac), ipOf(inner.address), Buffer.alloc(6), ipOf(about)])
  return ethernet(everybody, from, 0x0806, Buffer.concat([message, stations]))
}

/** What a client sends to a DHCP server; `client`: the MAC that it claims to ask for. */
export function dhcp(kind: 'discover' | 'decline', client: string, options: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.from([1, 1, 6, 0, 0x52, 0x61, 0x6d, 0x65, 0, 0, 0x80, 0])
  const type = Buffer.from([53, 1, kind === 'discover' ? 1 : 4])
  const cookie = Buffer.from([0x63, 0x82, 0x53, 0x63])
  const rest = Buffer.alloc(10 + 64 + 128)
  return Buffer.concat([head, Buffer.alloc(16), macOf(client), rest, cookie, type, options, Buffer.from([255])])
}

export const optionOf = (code: number, address: string) => Buffer.concat([Buffer.from([code, 4]), ipOf(address)])

function ip(protocol: number, from: string, to: string, payload: Buffer): Buffer {
  const start = Buffer.concat([Buffer.from([0x45, 0]), word(20 + payload.length), word(1), word(0)])
  const header = Buffer.concat([start, Buffer.from([64, protocol]), word(0), ipOf(from), ipOf(to)])
  header.writeUInt16BE(checksum(header), 10)
  return Buffer.concat([header, payload])
}

function checksum(bytes: Buffer): number {
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)])
  let sum = 0
  for (let at = 0; at < even.length; at += 2) sum += even.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

const macOf = (mac: string) => Buffer.from(mac.replaceAll(':', ''), 'hex')
const ipOf = (address: string) => Buffer.from(address.split('.').map(Number))
