// The lanes of jobs where the hypervisor keeps its own disks: on a simulated vCenter, which outlives the server as a real one does.
import { thumbprintOf } from '@ramet/server/drivers/simulated/vcenter.ts'
import { type Fields, list, type World } from '../world.ts'
import type { Attempt, Lane } from './lanes.ts'
import { aVolume } from './volume-lanes.ts'

let count = 0

interface Place {
  readonly cluster: string
  readonly template: string
}

/** A cluster of a vCenter of its own, with a template. */
async function place(world: World): Promise<Place> {
  const [pod] = await list(world.client, 'listPods', 'pod')
  const url = `https://crash-${++count}.test/DC/C`
  const answer = await world.client.call('addCluster', {
    zoneid: pod?.['zoneid'] as string,
    podid: pod?.['id'] as string,
    clustername: `crash-${count}`,
    clustertype: 'ExternalManaged',
    hypervisor: 'VMware',
    url,
    username: 'ramet',
    password: 'secret',
    thumbprint: thumbprintOf(url),
  })
  const cluster = (answer['cluster'] as Fields[])[0]?.['id'] as string
  return { cluster, template: await register(world, cluster, 'debian-12') }
}

async function register(world: World, clusterid: string, name: string): Promise<string> {
  const { id } = await startRegister(world, clusterid, name)
  await world.quiet()
  return id
}

async function startRegister(world: World, clusterid: string, name: string): Promise<{ id: string; jobid?: string }> {
  const asked = { name, url: `inventory:/DC/vm/${name}`, format: 'OVA', hypervisor: 'VMware', zoneid: world.zone }
  const answer = await world.client.call('registerTemplate', { ...asked, clusterid })
  const [template] = answer['template'] as Fields[]
  return { id: template?.['id'] as string }
}

/** Everything of the vCenter goes, and then the cluster itself. */
async function clear(world: World, { cluster }: Pick<Place, 'cluster'>): Promise<void> {
  await world.quiet()
  const machines = await list(world.client, 'listVirtualMachines', 'virtualmachine', { listall: true })
  const theirs = machines.filter(({ hypervisor }) => hypervisor === 'VMware')
  for (const { id } of clonesFirst(theirs)) await world.expunge({ id: id as string })
  const volumes = await list(world.client, 'listVolumes', 'volume', { listall: true })
  for (const { id, name } of volumes)
    if (String(name).startsWith('kept-')) await world.client.call('deleteVolume', { id: id as string })
  const templates = await list(world.client, 'listTemplates', 'template', { templatefilter: 'all' })
  for (const { id, hypervisor } of templates) if (hypervisor === 'VMware') await world.deleteTemplate(id as string)
  await world.quiet()
  await world.client.call('deleteCluster', { id: cluster })
}

/** What stands on another's disks goes before that one. */
function clonesFirst(machines: readonly Fields[]): Fields[] {
  return machines.toSorted((a, b) => String(b['created']).localeCompare(String(a['created'])))
}

/** A machine with a VM snapshot of its memory. */
async function withSnapshot(world: World, at: Place): Promise<{ vm: string; snapshot: string }> {
  const { id: vm } = await world.deploy(at.template, `kept-${++count}`)
  const job = await world.client.run('createVMSnapshot', { virtualmachineid: vm, snapshotmemory: true })
  return { vm, snapshot: (job['vmsnapshot'] as Fields)['id'] as string }
}

/** A machine with a data disk. */
async function withVolume(world: World, template: string): Promise<{ id: string; volume: string }> {
  const name = `kept-${++count}`
  const { id } = await world.deploy(template, name)
  const volume = await aVolume(world, name)
  await world.client.run('attachVolume', { id: volume, virtualmachineid: id })
  return { id, volume }
}

function lane(
  kind: string,
  failAt: string | null,
  start: (world: World, at: Place) => Promise<Attempt['start']>,
): Lane {
  return {
    kind,
    simulated: true,
    ...(failAt ? { failAt } : {}),
    async arrange(world) {
      const at = await place(world)
      return { start: await start(world, at), clear: later => clear(later, at) }
    },
  }
}

export const forestLanes: readonly Lane[] = [
  lane(
    'adopt-template',
    'publish/done/before',
    async (world, { cluster }) =>
      () =>
        startRegister(world, cluster, 'wiki'),
  ),
  lane(
    'spawn-vm',
    'publish/done/before',
    async (world, { template }) =>
      () =>
        world.startDeploy(template, `kept-${++count}`),
  ),
  ...(['instant', 'linked'] as const).map(clonetype => ({
    ...lane('spawn-vm', null, async (world, at) => {
      const { id } = await world.deploy(at.template, `kept-${++count}`)
      const name = `kept-${++count}`
      return () => world.client.call('cloneVirtualMachine', { virtualmachineid: id, clonetype, name })
    }),
    case: `makes ${clonetype === 'instant' ? 'an' : 'a'} ${clonetype} clone of a machine`,
    points: /\/(take-place|spawn|publish)\//,
  })),
  lane('discard-disk', null, async (world, { template }) => {
    const { id, volume } = await withVolume(world, template)
    await world.client.run('detachVolume', { id: volume })
    await world.expunge({ id })
    return () => world.client.call('deleteVolume', { id: volume })
  }),
  {
    ...lane('detach-volume', null, async (world, { template }) => {
      const { volume } = await withVolume(world, template)
      return async () => {
        const answer = await world.client.call('detachVolume', { id: volume })
        return { ...answer, id: volume }
      }
    }),
    case: 'of a hypervisor that keeps its own disks',
    points: /\/unplug\//,
  },
  lane('snapshot-vm', 'publish/done/before', async (world, { template }) => {
    const { id } = await world.deploy(template, `kept-${++count}`)
    return () => world.client.call('createVMSnapshot', { virtualmachineid: id })
  }),
  {
    ...lane('spawn-vm', null, async (world, at) => {
      const { snapshot } = await withSnapshot(world, at)
      return () => world.client.call('deployVirtualMachine', { vmsnapshotid: snapshot, name: `kept-${++count}` })
    }),
    case: 'from a VM snapshot',
    points: /\/(seed-snapshot|stand-on|wait)\//,
  },
  {
    ...lane('seed-vm-snapshot', 'publish/done/before', async (world, at) => {
      const { snapshot } = await withSnapshot(world, at)
      return () => world.client.call('prepareTemplate', { vmsnapshotid: snapshot })
    }),
    case: 'of a hypervisor that keeps its own disks',
  },
  {
    ...lane('remove-layer', null, async (world, at) => {
      const { snapshot } = await withSnapshot(world, at)
      await world.client.call('prepareTemplate', { vmsnapshotid: snapshot })
      await world.quiet()
      return () => world.client.call('deleteVMSnapshot', { vmsnapshotid: snapshot })
    }),
    case: 'a seed that the hypervisor keeps',
  },
  lane('revert-vm', 'finish/done/before', async (world, at) => {
    const { snapshot } = await withSnapshot(world, at)
    return () => world.client.call('revertToVMSnapshot', { vmsnapshotid: snapshot })
  }),
  {
    ...lane('delete-vm-snapshot', null, async (world, at) => {
      const { snapshot } = await withSnapshot(world, at)
      return () => world.client.call('deleteVMSnapshot', { vmsnapshotid: snapshot })
    }),
    case: 'of a hypervisor that keeps its own disks',
    points: /\/prune\//,
  },
  {
    ...lane('convert-vm', null, async (world, { template }) => {
      const { id } = await world.deploy(template, `kept-${++count}`)
      return () => world.client.call('convertVirtualMachineToFullClone', { virtualmachineid: id })
    }),
    case: 'of a hypervisor that keeps its own disks',
    points: /\/promote\//,
  },
  {
    ...lane('consolidate-vm', null, async (world, { template }) => {
      const { id } = await world.deploy(template, `kept-${++count}`)
      const name = `kept-${++count}`
      await world.client.run('cloneVirtualMachine', { virtualmachineid: id, clonetype: 'instant', name })
      return () => world.client.call('consolidateVirtualMachine', { virtualmachineid: id })
    }),
    case: 'of a hypervisor that keeps its own disks',
    points: /\/shorten\//,
  },
]
