// What may pass in a network, as nftables of its own namespace. A machine sends only from its own MAC and addresses, answers no
// DHCP, and reaches of the gateway nothing but addresses and names. The whole is made from the members and replaced at once.
import type { Member } from './folder.ts'
import { tapNames } from './folder.ts'

/** Commands for nft(8). Where `members` are already guarded, nothing changes. */
export function guardRules(members: readonly Member[]): string {
  return `
add table bridge guard
delete table bridge guard
table bridge guard {
  set cards { type ifname . ether_addr; }
  set addresses { type ifname . ether_addr . ipv4_addr; }
  chain sent {
    type filter hook prerouting priority -300; policy drop;
    iifname != "r*" accept
    udp sport 67 drop
    ether type ip iifname . ether saddr . ip saddr @addresses accept
    ether type arp iifname . arp saddr ether . arp saddr ip @addresses iifname . ether saddr @cards accept
    ether type arp arp saddr ip 0.0.0.0 iifname . ether saddr @cards accept
    ip saddr 0.0.0.0 udp sport 68 udp dport 67 iifname . ether saddr @cards accept
    ether type 0x8035 iifname . ether saddr @cards accept comment "here I am: RARP of a process that took over"
  }
}
add table inet gate
delete table inet gate
table inet gate {
  chain arrived {
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
  }
}
${members.map(admission).join('')}`
}

/** Lets one more in. May be repeated. */
export function admission({ nic, mac, address }: Member): string {
  return tapNames(nic)
    .map(
      tap =>
        `add element bridge guard cards { "${tap}" . ${mac} }\n` +
        `add element bridge guard addresses { "${tap}" . ${mac} . ${address} }\n`,
    )
    .join('')
}
