// What the server asks of a hypervisor about guest networks: segments of their own, older than the machines in them and than the
// server. As everywhere in the contract, each call may be repeated: same arguments, same end state. A host that can have none refuses
// each call with 'unsupported' (no-networks) and says why; `hosts.facts` says it too.
import type { NetworkId, NicId, VmId } from '@ramet/core/ids.ts'

export interface NetworkSpec {
  readonly id: NetworkId
  /** Such as 10.1.1.0/24. Any number of networks may use the same addresses at once. */
  readonly cidr: string
  /** The address inside at which the network serves DHCP and names. */
  readonly gateway: string
  /** What the names of machines end in, inside the network. */
  readonly domain: string | null
  /**
   * Machines open connections outwards, by the host: past it, or to its own services and addresses too. Absent: they do not. A host
   * that cannot let them refuses with 'unsupported' (no-way-out).
   */
  readonly outward?: 'past-host' | 'host-too'
}

/** A port of the host that leads to a port of a machine. */
export interface Forward {
  /** Of the host, such as 127.0.0.1. */
  readonly address: string
  readonly port: number
  readonly network: NetworkId
  readonly to: { readonly address: string; readonly port: number }
  /** The machine and its card, where the driver made it for SSH and ends it with the machine. */
  readonly ssh: { readonly vm: VmId; readonly nic: NicId } | null
}

export interface NetworkFacts {
  readonly id: NetworkId
  /** What is wrong with it, as the end of a sentence that begins with its name; null when nothing is. */
  readonly trouble: string | null
}

export interface Networks {
  /** Makes the segment with its gateway, DHCP and names, and mends what of it was lost. Machines in it go on. */
  ensure(network: NetworkSpec): Promise<void>
  /** Removes it with its addresses and forwards; 'in-use' (network-in-use) while a running machine is in it. */
  remove(id: NetworkId): Promise<void>
  list(): Promise<NetworkFacts[]>
  /** Gives up the address, name and port for SSH of a network card that no running machine has any more. */
  release(id: NetworkId, nic: NicId): Promise<void>
  /** Makes a card its machine's default one, or no more; the guest learns when it next asks. One that is not in the network is left alone. */
  setDefault(id: NetworkId, nic: NicId, isDefault: boolean): Promise<void>
  /**
   * Connections to the port reach the machine when this fulfils. A port that another forward or program has is refused ('in-use',
   * port-in-use); a repeat with another `to` leads new connections there.
   */
  forward(forward: Forward): Promise<void>
  /** Frees the port, and cuts the connections that came by it. One that the driver made for SSH is left alone. */
  unforward(address: string, port: number): Promise<void>
  forwards(): Promise<Forward[]>
}
