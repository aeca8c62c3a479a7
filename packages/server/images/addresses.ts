// Which addresses a download may go to. The URL is a user's, and this server stands where that user does not: it reaches
// management networks, metadata services and itself. So only addresses of the public internet are dialled.
//
// The check is made on what a name resolved to, in the very lookup that the connection uses: a name that answers
// differently the second time gains nothing.
import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { Problem } from '@ramet/core/problem.ts'

// Two lists, since one would also hold an IPv4 address against the IPv6 subnet that its mapped form is in.
const special = { ipv4: new BlockList(), ipv6: new BlockList() }

// https://www.iana.org/assignments/iana-ipv4-special-registry, and all of multicast and the reserved end.
for (const subnet of [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]) {
  block(subnet, 'ipv4')
}

// IPv6 the other way round: public is 2000::/3, less what it holds of tunnels and examples. The rest includes every form
// that carries an IPv4 address inside (mapped, compatible, NAT64).
for (const subnet of ['::/3', '4000::/2', '8000::/1', '2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']) {
  block(subnet, 'ipv6')
}

function block(subnet: string, family: 'ipv4' | 'ipv6'): void {
  const [address = '', prefix] = subnet.split('/')
  special[family].addSubnet(address, Number(prefix), family)
}

export function isPublic(address: string): boolean {
  const version = isIP(address)
  const family = version === 6 ? 'ipv6' : 'ipv4'
  return version !== 0 && !special[family].check(address, family)
}

/** A lookup that fails when any answer is not public. */
export const lookupPublic: LookupFunction = (hostname, options, done) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error) return done(error, [])
    const [first] = found
    if (!first || !found.every(({ address }) => isPublic(address))) return done(notAllowed(hostname), [])
    return options.all ? done(null, found) : done(null, first.address, first.family)
  })
}

/** An address in place of a name is never looked up, so it is looked at here. */
export function refuseNonPublicLiteral(host: string): void {
  if (isIP(host) !== 0 && !isPublic(host)) throw notAllowed(host)
}

function notAllowed(host: string): Problem {
  return new Problem(
    'invalid',
    'address-not-allowed',
    `${host} is in a private or special network, and images come from public addresses only; ` +
      'an administrator can allow it with the setting allow.register.private.address',
  )
}
