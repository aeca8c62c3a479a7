// The lanes of jobs on networks. What they change is in the records and told to the hypervisor, so simulated hosts will do.
import { type Fields, list, type World } from '../world.ts'
import type { Attempt, Lane } from './lanes.ts'

let count = 0

/** A network with its segment on the hypervisor. */
async function network(world: World, command: string, more: Record<string, string> = {}): Promise<Attempt> {
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

export const networkLanes: readonly Lane[] = [
  {
    kind: 'delete-network',
    simulated: true,
    failAt: 'forget/done/before',
    arrange: world => network(world, 'deleteNetwork'),
  },
  { kind: 'restart-network', simulated: true, arrange: world => network(world, 'restartNetwork') },
  {
    kind: 'update-network',
    simulated: true,
    failAt: 'tell-segment/done/before',
    arrange: world => network(world, 'updateNetwork', { name: 'new', networkdomain: 'new.internal' }),
  },
]
