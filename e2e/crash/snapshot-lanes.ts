// The lanes of jobs on VM snapshots, on volume snapshots, and on what both leave to be merged.
import { networkRefusal } from '@ramet/server/drivers/qemu/network/probe.ts'
import { type Fields, list, type World } from '../world.ts'
import type { Attempt, Lane } from './lanes.ts'
import { network } from './nic-lanes.ts'

let count = 0
const name = () => `snap-${++count}`

interface Made {
  readonly vm: string
  readonly root: string
  /** In the order in which they were taken. */
  readonly ids: readonly string[]
  /** What was made besides. */
  readonly prepared: string
}

/** A running machine with VM snapshots, one of each entry of `memory`; the image is its template. */
export async function machine(
  world: World,
  image: string,
  memory: readonly boolean[],
  start: (world: World, made: Made) => Promise<unknown>,
  prepare: (made: Made) => Promise<string> = async () => '',
  more: Record<string, string> = {},
): Promise<Attempt> {
  const template = (await world.registerTemplate(image, { name: name(), passwordenabled: false })).id
  const { id: vm } = await world.deploy(template, name(), 'linked', more)
  const ids: string[] = []
  for (const snapshotmemory of memory) ids.push(await take(world, vm, snapshotmemory))
  const [volume] = await list(world.client, 'listVolumes', 'volume', { virtualmachineid: vm })
  const made = { vm, root: volume?.['id'] as string, ids, prepared: '' }
  made.prepared = await prepare(made)
  await world.quiet()
  return { start: () => start(world, made), clear: later => clear(later, template) }
}

/** In a network of its own its process can be replaced while it runs. */
async function inNetwork(
  world: World,
  image: string,
  ...how: [boolean[], (at: World, made: Made) => Promise<unknown>]
) {
  const networkids = await network(world, name())
  const attempt = await machine(world, image, ...how, undefined, { networkids })
  return {
    start: attempt.start,
    async clear(later: World) {
      await attempt.clear(later)
      await later.client.run('deleteNetwork', { id: networkids })
    },
  }
}

async function take(world: World, virtualmachineid: string, snapshotmemory: boolean): Promise<string> {
  const { vmsnapshot } = await world.client.run('createVMSnapshot', { virtualmachineid, name: name(), snapshotmemory })
  return (vmsnapshot as Fields)['id'] as string
}

/** Whatever a crash left can be removed by ordinary commands: snapshots in Error too. */
async function clear(world: World, template: string): Promise<void> {
  for (const { id } of await list(world.client, 'listSnapshots', 'snapshot', { listall: true }))
    await world.client.run('deleteSnapshot', { id: id as string })
  for (const found of await world.machines({ templateid: template })) {
    const filter = { virtualmachineid: found.id }
    for (const { id } of await list(world.client, 'listVMSnapshot', 'vmSnapshot', filter))
      await world.client.run('deleteVMSnapshot', { vmsnapshotid: id as string })
    await world.expunge(found)
  }
  await world.quiet() // what the machine left hidden is merged into its volumes
  for (const { id } of await list(world.client, 'listVolumes', 'volume', { type: 'DATADISK' }))
    await world.client.call('deleteVolume', { id: id as string })
  for (const { id } of await list(world.client, 'listTemplates', 'template', { templatefilter: 'all', name: 'made' }))
    await world.deleteTemplate(id as string)
  await world.deleteTemplate(template)
  await world.quiet()
}

/** Gives the machine a data volume, and takes a VM snapshot of both. */
async function withData(world: World, { vm }: Made): Promise<string> {
  const [offering] = await list(world.client, 'listDiskOfferings', 'diskoffering', { name: 'Custom' })
  const asked = { name: name(), zoneid: world.zone, diskofferingid: offering?.['id'] as string, size: 1 }
  await world.client.run('createVolume', { ...asked, virtualmachineid: vm })
  return take(world, vm, false)
}

const create =
  (snapshotmemory: boolean) =>
  (world: World, { vm }: Made) =>
    world.client.call('createVMSnapshot', { virtualmachineid: vm, name: name(), snapshotmemory })
const revert = (world: World, { ids: [id = ''] }: Made) => world.client.call('revertToVMSnapshot', { vmsnapshotid: id })
const remove = (world: World, { ids: [id = ''] }: Made) => world.client.call('deleteVMSnapshot', { vmsnapshotid: id })

/** A snapshot of the root disk of a stopped machine. */
async function backup(world: World, { vm, root }: Made): Promise<string> {
  await world.stop({ id: vm }, true)
  const { snapshot } = await world.client.run('createSnapshot', { volumeid: root })
  return (snapshot as Fields)['id'] as string
}

const deploy = (world: World, { ids: [vmsnapshotid = ''] }: Made) =>
  world.client.call('deployVirtualMachine', { vmsnapshotid, name: name() })
const seed = (world: World, { ids: [vmsnapshotid = ''] }: Made) =>
  world.client.call('prepareTemplate', { vmsnapshotid })

/** What the machine stands on loses its name, and stays for a volume that stands on it too. */
async function shareAndUnname(world: World, { root, ids: [vmsnapshotid = ''] }: Made): Promise<string> {
  await world.client.run('createVolume', { name: 'made', vmsnapshotid, volumeid: root, clonetype: 'linked' })
  await world.deleteSnapshot(vmsnapshotid)
  return ''
}

const inNetworks: readonly Lane[] = [
  {
    kind: 'revert-to-vm-snapshot',
    case: 'of a machine that runs until another process takes its place',
    points: /machines\.replace|\/run\//,
    failAt: 'finish/done/before',
    arrange: (world, image) => inNetwork(world, image, [true], revert),
  },
]

export const snapshotLanes: readonly Lane[] = [
  ...((await networkRefusal()) ? [] : inNetworks),
  {
    kind: 'seed-vm-snapshot',
    failAt: 'publish/done/before',
    arrange: (world, image) => machine(world, image, [false], seed),
  },
  {
    kind: 'deploy-vm',
    case: 'the first from its VM snapshot',
    points: /\/(seed-snapshot|reserve-disks|make-disks|wait)\//,
    arrange: (world, image) => machine(world, image, [false], deploy),
  },
  {
    kind: 'deploy-vm',
    case: 'with the data volumes of its VM snapshot',
    points: /\/(reserve-disks|wait|publish|end)\//,
    failAt: 'publish/done/before',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { prepared: vmsnapshotid }) =>
          at.client.call('deployVirtualMachine', { vmsnapshotid, name: name(), datavolumes: true }),
        made => withData(world, made),
      ),
  },
  {
    kind: 'create-vm-snapshot',
    case: 'with memory',
    failAt: 'publish/done/before',
    arrange: (world, image) => machine(world, image, [], create(true)),
  },
  {
    kind: 'create-vm-snapshot',
    case: 'of the disks',
    arrange: (world, image) => machine(world, image, [false], create(false)),
  },
  {
    kind: 'revert-to-vm-snapshot',
    failAt: 'finish/done/before',
    arrange: (world, image) => machine(world, image, [true], revert),
  },
  {
    kind: 'delete-vm-snapshot',
    arrange: (world, image) => machine(world, image, [true, false], remove),
  },
  {
    kind: 'remove-layer',
    case: 'merged into the one above while its machine runs',
    arrange: (world, image) => machine(world, image, [false, false], remove),
  },
  {
    kind: 'convert-vm',
    case: 'with a VM snapshot, while its machine runs',
    arrange: (world, image) =>
      machine(world, image, [false], (at, { vm: virtualmachineid }) =>
        at.client.call('convertVirtualMachineToFullClone', { virtualmachineid }),
      ),
  },
  {
    kind: 'consolidate-vm',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [false],
        (at, { vm: virtualmachineid }) => at.client.call('consolidateVirtualMachine', { virtualmachineid }),
        made => shareAndUnname(world, made),
      ),
  },
  {
    kind: 'expunge-vm',
    case: 'with VM snapshots',
    points: /\/(let-go-of-snapshots|discard-memory)\//,
    arrange: (world, image) =>
      machine(world, image, [true], (at, { vm }) => at.client.call('destroyVirtualMachine', { id: vm, expunge: true })),
  },
  {
    kind: 'create-snapshot',
    failAt: 'publish/done/before',
    arrange: (world, image) =>
      machine(world, image, [], (at, { root }) => at.client.call('createSnapshot', { volumeid: root })),
  },
  {
    kind: 'delete-snapshot',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { prepared: id }) => at.client.call('deleteSnapshot', { id }),
        made => backup(world, made),
      ),
  },
  {
    kind: 'revert-snapshot',
    failAt: 'switch/done/before',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { prepared: id }) => at.client.call('revertSnapshot', { id }),
        made => backup(world, made),
      ),
  },
  {
    kind: 'create-volume-from-snapshot',
    case: 'linked to a VM snapshot',
    failAt: 'publish/done/before',
    arrange: (world, image) =>
      machine(world, image, [false], (at, { root, ids: [vmsnapshotid = ''] }) =>
        at.client.call('createVolume', { name: 'made', vmsnapshotid, volumeid: root }),
      ),
  },
  {
    kind: 'create-volume-from-snapshot',
    case: 'of a snapshot on secondary storage',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { prepared: snapshotid }) => at.client.call('createVolume', { name: 'made', snapshotid }),
        made => backup(world, made),
      ),
  },
  {
    kind: 'make-template',
    case: 'of a VM snapshot',
    points: /\/copy\//,
    arrange: (world, image) =>
      machine(world, image, [false], (at, { ids: [vmsnapshotid = ''] }) =>
        at.client.call('createTemplate', { name: 'made', vmsnapshotid }),
      ),
  },
  {
    kind: 'make-template',
    failAt: 'publish/done/before',
    arrange: (world, image) =>
      machine(
        world,
        image,
        [],
        (at, { root }) => at.client.call('createTemplate', { name: 'made', volumeid: root }),
        async ({ vm }) => (await world.stop({ id: vm }, true)).id,
      ),
  },
]
