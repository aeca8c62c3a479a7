// The lanes of jobs on NICs, on simulated hosts: they handle no disks.
import { type Fields, list, type World } from '../world.ts'
import type { Attempt, Lane } from './lanes.ts'

let count = 0

/** A machine and a network; `isIn`: it has a NIC there already. */
async function card(world: World, image: string, command: string, isIn: boolean): Promise<Attempt> {
  const name = `crash-nic-${++count}`
  const from = (await world.registerTemplate(image, { name, passwordenabled: false })).id
  const { id: virtualmachineid } = await world.deploy(from, name)
  const networkid = await network(world, name)
  const adding = { virtualmachineid, networkid }
  if (isIn) await world.client.run('addNicToVirtualMachine', adding)
  const [nic] = await list(world.client, 'listNics', 'nic', adding)
  return {
    start: () => world.client.call(command, isIn ? { virtualmachineid, nicid: nic?.['id'] as string } : adding),
    async clear(later) {
      await later.quiet()
      await later.expunge({ id: virtualmachineid })
      await later.deleteTemplate(from)
      await later.client.run('deleteNetwork', { id: networkid })
    },
  }
}

export async function network(world: World, name: string): Promise<string> {
  const [offering] = await list(world.client, 'listNetworkOfferings', 'networkoffering', {
    name: 'DefaultIsolatedNetworkOffering',
  })
  const asked = { zoneid: world.zone, networkofferingid: offering?.['id'] as string }
  const made = await world.client.call('createNetwork', { name, ...asked })
  return (made['network'] as Fields)['id'] as string
}

const lane = (kind: string, command: string, isIn: boolean, failAt: string): Lane => ({
  kind,
  simulated: true,
  arrange: (world, image) => card(world, image, command, isIn),
  failAt,
})

export const nicLanes: readonly Lane[] = [
  lane('add-nic', 'addNicToVirtualMachine', false, 'publish/done/before'),
  lane('remove-nic', 'removeNicFromVirtualMachine', true, 'forget/done/before'),
  lane('update-default-nic', 'updateDefaultNicForVirtualMachine', true, 'change/done/before'),
]
