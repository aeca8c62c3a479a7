// Simulated guest networks: who has which address in them, and which ports lead where.
import type { NetworkId, NicId, VmId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { NetworkNicSpec, NicSpec } from '../driver.ts'
import type { Networks } from '../networks.ts'
import type { Calling } from './calling.ts'
import { change, forwardKey, type SimulatedMachine, type SimulatedNetwork, type World } from './world.ts'

export function simulatedNetworks(world: World, call: Calling): Networks {
  return {
    ensure: async spec => {
      await call('networks.ensure')
      change(world, { network: { spec, cards: world.networks.get(spec.id)?.cards ?? [] } })
    },
    remove: async id => {
      await call('networks.remove')
      const cards = world.networks.get(id)?.cards ?? []
      if (cards.some(({ vm }) => world.machines.get(vm)?.power === 'on'))
        throw new Problem('in-use', 'network-in-use', `Running machines are in the network ${id}; stop them first`)
      for (const { address, port, network } of world.forwards.values())
        if (network === id) change(world, { forwardGone: { address, port } })
      if (world.networks.has(id)) change(world, { networkGone: id })
    },
    list: async () => {
      await call('networks.list')
      return [...world.networks.keys()].map(id => ({ id, trouble: null }))
    },
    release: async (id, nic) => {
      await call('networks.release')
      release(world, id, nic)
    },
    setDefault: async (id, nic, isDefault) => {
      await call('networks.setDefault')
      const network = world.networks.get(id)
      if (!network) return
      const cards = network.cards.map(card => (card.nic === nic ? { ...card, isDefault } : card))
      change(world, { network: { ...network, cards } })
    },
    forward: async forward => {
      await call('networks.forward')
      const { address, port, network, ssh } = forward
      if (!world.networks.has(network))
        throw new Problem('unavailable', 'network-missing', `There is no network ${network} on this host`)
      const known = world.forwards.get(forwardKey(forward))
      if (known && (known.network !== network || known.ssh?.nic !== ssh?.nic))
        throw new Problem('in-use', 'port-in-use', `Port ${port} of ${address} is taken; choose another`)
      change(world, { forward })
    },
    unforward: async (address, port) => {
      await call('networks.unforward')
      const known = world.forwards.get(forwardKey({ address, port }))
      if (known && !known.ssh) change(world, { forwardGone: { address, port } })
    },
    forwards: async () => {
      await call('networks.forwards')
      return [...world.forwards.values()]
    },
  }
}

/** Takes cards of a machine into their networks, before it starts or gets them. */
export function admit(world: World, vm: VmId, nics: readonly NicSpec[], sshPorts: SimulatedMachine['sshPorts']): void {
  for (const nic of nics) {
    if (nic.kind !== 'network' || nic.silent) continue
    admitCard(world, vm, nic)
    const [network, port, to] = [nic.network.id, sshPorts[nic.id], { address: nic.address, port: 22 }]
    if (port) change(world, { forward: { address: '127.0.0.1', port, network, to, ssh: { vm, nic: nic.id } } })
  }
}

function admitCard(world: World, vm: VmId, { id, network: spec, address, mac, isDefault }: NetworkNicSpec): void {
  const network: SimulatedNetwork = { spec, cards: world.networks.get(spec.id)?.cards ?? [] }
  const others = network.cards.filter(({ nic }) => nic !== id)
  if (address === spec.gateway || others.some(card => card.address === address || card.mac === mac))
    throw new Problem('in-use', 'address-in-use', `Another card in the network ${spec.id} has the address ${address}`)
  change(world, { network: { spec, cards: [...others, { vm, nic: id, address, mac, isDefault }] } })
}

export function release(world: World, id: NetworkId, nic: NicId): void {
  for (const { address, port, ssh } of world.forwards.values())
    if (ssh?.nic === nic) change(world, { forwardGone: { address, port } })
  const network = world.networks.get(id)
  if (network) change(world, { network: { ...network, cards: network.cards.filter(card => card.nic !== nic) } })
}

export function dismiss(world: World, vm: VmId): void {
  for (const { address, port, ssh } of world.forwards.values())
    if (ssh?.vm === vm) change(world, { forwardGone: { address, port } })
  for (const network of world.networks.values())
    if (network.cards.some(card => card.vm === vm))
      change(world, { network: { ...network, cards: network.cards.filter(card => card.vm !== vm) } })
}
