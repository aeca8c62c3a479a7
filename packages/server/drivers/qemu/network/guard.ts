// What may pass in a network, as nftables of its own namespace. A machine sends only from its own MAC and addresses, asks for no other's
// address, answers no DHCP, and reaches of the gateway nothing but addresses and names. The whole is made from the members and replaced at once.
import type { Member } from './folder.ts'
import { tapIndexes, tapNames } from './folder.ts'
import { uplink } from './way-out.ts'

/** In a DHCP message, behind the header of UDP: the MAC of the client that it speaks for. */
const client = '@th,288,48'

/**
 * Commands for nft(8). Where `members` are already guarded, nothing changes. `forbidden`: ranges that are not reached although the network
 * leads outwards.
 */
export function guardRules(members: readonly Member[], isOutward = false, forbidden: readonly string[] = []): string {
  return `
add table bridge guard
delete table bridge guard
table bridge guard {
  set usual { type iface_index . ether_addr . ipv4_addr; }
  set cards { type ifname . ether_addr; }
  set addresses { type ifname . ether_addr . ipv4_addr; }
  set clients { typeof iifname . ether saddr . ${client}; }
  chain sent {
    type filter hook prerouting priority -300; policy drop;
${members.map(member => brake('iifname', member)).join('')}    ip protocol != udp iif . ether saddr . ip saddr @usual accept comment "most frames; a number is found sooner than a name"
    iifname != "r*" accept
    udp sport 67 drop
    udp dport 67 jump asked
    ether type ip iifname . ether saddr . ip saddr @addresses accept
    ether type arp iifname . arp saddr ether . arp saddr ip @addresses iifname . ether saddr @cards accept
    ether type arp arp saddr ip 0.0.0.0 iifname . arp saddr ether @cards iifname . ether saddr @cards accept
    ether type 0x8035 iifname . ether saddr @cards accept comment "here I am: RARP of a process that took over"
  }
  chain asked {
    ip frag-off & 0x3fff != 0 drop
    ip saddr 0.0.0.0 udp sport 68 iifname . ether saddr . ${client} @clients accept
    iifname . ether saddr . ip saddr @addresses iifname . ether saddr . ${client} @clients accept
    drop
  }
${received(members)}}
add table inet gate
delete table inet gate
table inet gate {
${forbidden.length > 0 ? hostRanges(forbidden) : ''}  chain arrived {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    udp dport { 53, 67 } accept
    tcp dport 53 accept
    icmp type echo-request limit rate 100/second accept
  }
  chain passing {
    type filter hook forward priority 0; policy drop;
    iifname "br0" oifname "br0" accept comment "bridged, where the kernel shows that to this table too"
${forbidden.length > 0 ? '    ip daddr @host drop\n' : ''}${isOutward ? passingOut : ''}  }
${isOutward ? leaving : ''}}
${members.map(admission).join('')}`
}

/** A chain that has nothing to say costs each frame too. */
function received(members: readonly Member[]): string {
  const brakes = members.map(member => brake('oifname', member)).join('')
  if (brakes === '') return ''
  return `  chain received {
    type filter hook postrouting priority 300; policy accept;
${brakes}  }
`
}

const hostRanges = (ranges: readonly string[]) => `  set host {
    type ipv4_addr; flags interval; auto-merge
    elements = { ${ranges.join(', ')} }
  }
`

const passingOut = `    iifname "br0" oifname "${uplink}" accept
    iifname "${uplink}" oifname "br0" ct state established,related accept
`

/** All machines leave as one address, which is this network's alone. */
const leaving = `  chain leaving {
    type nat hook postrouting priority 100; policy accept;
    oifname "${uplink}" masquerade
  }
`

/** Drops what is more than the card may in a second, and some packets: the kernel joins those of a connection to heaps of 64 KiB. */
function brake(side: 'iifname' | 'oifname', { nic, mbps }: Member): string {
  if (!mbps) return ''
  const taps = tapNames(nic).map(tap => `"${tap}"`)
  return `    ${side} { ${taps.join(', ')} } limit rate over ${mbps * 125_000} bytes/second burst ${4 * 65_536} bytes drop\n`
}

/** Lets one more in, whose speed is not limited. May be repeated. */
export function admission({ nic, mac, address }: Member): string {
  const numbers = tapIndexes(address)
  return tapNames(nic)
    .map(
      (tap, which) =>
        `add element bridge guard usual { ${numbers[which]} . ${mac} . ${address} }\n` +
        `add element bridge guard cards { "${tap}" . ${mac} }\n` +
        `add element bridge guard addresses { "${tap}" . ${mac} . ${address} }\n` +
        `add element bridge guard clients { "${tap}" . ${mac} . 0x${mac.replaceAll(':', '')} }\n`,
    )
    .join('')
}
