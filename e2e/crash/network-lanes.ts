// The lanes of jobs on networks. What they change is in the records and told to the hypervisor, so simulated hosts will do.
import { type Fields, list, type World } from '../world.ts'
import type { Attempt, Lane } from './lanes.ts'

let count = 0

/** A network with its segment on the hypervisor. */
async function onNetwork(world: World, command: string, more: Record<string, string> = {}): Promise<Attempt> {
  const [zone] = await list(world.client, 'listZones', 'zone')
  const [offering] = await list(world.client, 'listNetworkOfferings', 'networkoffering', {
    name: 'DefaultIsolatedNetworkOffering',
  })
  const asked = { zoneid: zone?.['id'] as string, networkofferingid: offering?.['id'] as string }
  const made = await world.client.call('createNetwork', { name: `net-${++count}`, ...asked })
  const id = (made['network'] as Fields)['id'] as string
  await world.client.run('restartNetwork', { id })
  return {
    start: () => world.client.call(command, { id, ...more }),
    async clear(later) {
      await later.quiet()
      const [left] = await list(later.client, 'listNetworks', 'network', { id })
      if (left) await later.client.run('deleteNetwork', { id })
    },
  }
}

interface WayIn {
  readonly network: string
  readonly vm: string
  readonly template: string
  readonly ip: string
}

/** A stopped machine in a network of its own, with a public address. */
async function wayIn(world: World, image: string): Promise<WayIn> {
  const { id: template } = await world.registerTemplate(image, { name: `net-${++count}` })
  const [zone] = await list(world.client, 'listZones', 'zone')
  const [offering] = await list(world.client, 'listNetworkOfferings', 'networkoffering', {
    name: 'DefaultIsolatedNetworkOffering',
  })
  const asked = { zoneid: zone?.['id'] as string, networkofferingid: offering?.['id'] as string }
  const made = await world.client.call('createNetwork', { name: `net-${count}`, ...asked })
  const network = (made['network'] as Fields)['id'] as string
  const { id: vm } = await world.deploy(template, `net-${count}`, 'linked', { networkids: network, startvm: false })
  const allocated = await world.client.run('associateIpAddress', { networkid: network })
  return { network, vm, template, ip: (allocated['ipaddress'] as Fields)['id'] as string }
}

let port = 41_000

const ruleOn = ({ ip, vm }: WayIn) => ({
  ...{ ipaddressid: ip, virtualmachineid: vm, protocol: 'tcp' },
  ...{ publicport: (port += 1), privateport: 80 },
})

/** `ask` says what is called, on a rule that is there already where `id` is needed. */
async function reached(
  world: World,
  image: string,
  command: string,
  ask: (way: WayIn, rule: () => Promise<string>) => Promise<Record<string, string | number>>,
): Promise<Attempt> {
  const way = await wayIn(world, image)
  const asked = await ask(way, async () => {
    const made = await world.client.run('createPortForwardingRule', ruleOn(way))
    return (made['portforwardingrule'] as Fields)['id'] as string
  })
  return {
    start: () => world.client.call(command, asked),
    async clear(later) {
      await later.quiet()
      for (const each of await later.machines({ templateid: way.template })) await later.expunge(each)
      const rules = await list(later.client, 'listPortForwardingRules', 'portforwardingrule', { listall: true })
      if (rules.length > 0) throw new Error('a rule outlived its machine')
      await later.client.run('deleteNetwork', { id: way.network })
      await later.deleteTemplate(way.template)
      await later.quiet()
    },
  }
}

export const networkLanes: readonly Lane[] = [
  {
    kind: 'delete-network',
    simulated: true,
    failAt: 'forget/done/before',
    arrange: world => onNetwork(world, 'deleteNetwork'),
  },
  { kind: 'restart-network', simulated: true, arrange: world => onNetwork(world, 'restartNetwork') },
  {
    kind: 'update-network',
    simulated: true,
    failAt: 'tell-segment/done/before',
    arrange: world => onNetwork(world, 'updateNetwork', { name: 'new', networkdomain: 'new.internal' }),
  },
  {
    kind: 'associate-ip',
    simulated: true,
    failAt: 'allocate/done/before',
    arrange: (world, image) =>
      reached(world, image, 'associateIpAddress', async ({ network, ip }) => {
        await world.client.run('disassociateIpAddress', { id: ip })
        return { networkid: network }
      }),
  },
  {
    kind: 'disassociate-ip',
    simulated: true,
    arrange: (world, image) =>
      reached(world, image, 'disassociateIpAddress', async ({ ip }, rule) => {
        await rule()
        return { id: ip }
      }),
  },
  {
    kind: 'create-port-forwarding',
    simulated: true,
    failAt: 'activate/done/before',
    arrange: (world, image) => reached(world, image, 'createPortForwardingRule', async way => ruleOn(way)),
  },
  {
    kind: 'update-port-forwarding',
    simulated: true,
    failAt: 'forward/done/before',
    arrange: (world, image) =>
      reached(world, image, 'updatePortForwardingRule', async (_, rule) => ({ id: await rule(), privateport: 81 })),
  },
  {
    kind: 'delete-port-forwarding',
    simulated: true,
    arrange: (world, image) =>
      reached(world, image, 'deletePortForwardingRule', async (_, rule) => ({ id: await rule() })),
  },
  {
    kind: 'expunge-vm',
    case: 'with a port',
    simulated: true,
    points: /-ports/,
    arrange: (world, image) =>
      reached(world, image, 'expungeVirtualMachine', async ({ vm }, rule) => {
        await rule()
        return { id: vm }
      }),
  },
]
