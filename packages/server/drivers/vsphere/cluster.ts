// The part of a vCenter that is one cluster of ours: its hosts, the datastores and networks that they have, and the folder in which our
// machines are made. Names are what an operator sees in vSphere's own client.
import { Problem } from '@ramet/core/problem.ts'
import type { Plug } from './devices.ts'
import type { Followed, Inventory, Item } from './inventory.ts'
import { problems } from './problems.ts'
import type { Vcenter } from './vcenter.ts'
import { isFault } from './vim25/faults.ts'
import type { Ref } from './vim25/schema.ts'

export type HostItem = Item<'HostSystem'>
type Compute = Item<'ClusterComputeResource'>

export class Cluster {
  readonly vcenter: Vcenter
  readonly inventory: Inventory
  readonly #ref: Ref
  readonly #folderName: string
  #folder: Promise<Ref> | null = null
  /** What it was when it was found last. */
  #folderRef: Ref | null = null

  constructor(vcenter: Vcenter, inventory: Inventory, name: string, folderName: string) {
    this.vcenter = vcenter
    this.inventory = inventory
    this.#ref = clusterNamed(inventory, name)
    this.#folderName = folderName
    inventory.onChange(changes => changes.forEach(({ ref }) => this.#heed(ref)))
  }

  get resourcePool(): Ref {
    const { resourcePool } = this.inventory.get(this.#ref as Ref<'ClusterComputeResource'>) as Compute
    if (resourcePool === undefined) throw problems.gone('the resource pool of the cluster', undefined)
    return resourcePool
  }

  hosts(): [Ref<'HostSystem'>, HostItem][] {
    return [...this.inventory.all('HostSystem')].filter(([, { parent }]) => parent === this.#ref)
  }

  hostNamed(name: string): [Ref<'HostSystem'>, HostItem] {
    const found = this.hosts().find(([, host]) => host.name === name)
    if (!found || found[1]['runtime.connectionState'] !== 'connected') throw silentHost(name)
    return found
  }

  /** A host that takes machines now. */
  hostAtWork(name: string): Ref<'HostSystem'> {
    const [ref, host] = this.hostNamed(name)
    if (host['runtime.inMaintenanceMode'] === true) throw problems.maintenance(name)
    return ref
  }

  datastores(): [Ref<'Datastore'>, Item<'Datastore'>][] {
    const reached = new Set(this.hosts().flatMap(([, { datastore }]) => datastore ?? []))
    return [...this.inventory.all('Datastore')].filter(([ref]) => reached.has(ref))
  }

  datastoreNamed(name: string): Ref<'Datastore'> {
    const found = this.datastores().find(([, datastore]) => datastore.name === name)
    if (!found || found[1]['summary.accessible'] !== true) throw missingPool(name)
    return found[0]
  }

  networks(): [Ref, Item<'Network'>][] {
    const reached = new Set<string>(this.hosts().flatMap(([, { network }]) => network ?? []))
    const all: [Ref, Item<'Network'>][] = [
      ...this.inventory.all('Network'),
      ...this.inventory.all('DistributedVirtualPortgroup'),
    ]
    return all.filter(([ref]) => reached.has(ref) && !this.#isUplink(ref))
  }

  /** A card in the network of that name, for a machine on the host. */
  plugInto(name: string, mac: string, host: Ref<'HostSystem'>): Plug {
    const found = this.networks().find(([, network]) => network.name === name)
    if (!found) throw problems.noNetwork(name)
    const [network] = found
    const there = this.hosts().filter(([, each]) => each.network?.includes(network))
    if (!there.some(([ref]) => ref === host))
      throw problems.networkElsewhere(
        name,
        this.inventory.get(host)?.name ?? '',
        there.map(([, each]) => each.name ?? ''),
      )
    if (!network.startsWith('DistributedVirtualPortgroup:')) return { network, name, mac }
    const group = this.#item('DistributedVirtualPortgroup', network)
    const vswitch = this.#switchOf(network)
    if (group?.key === undefined || vswitch?.uuid === undefined) throw problems.noNetwork(name)
    return { switchUuid: vswitch.uuid, portgroupKey: group.key, mac }
  }

  #switchOf(group: Ref): Item<'DistributedVirtualSwitch'> | undefined {
    const found = this.#item('DistributedVirtualPortgroup', group)?.['config.distributedVirtualSwitch']
    return found && this.inventory.get(found as Ref<'DistributedVirtualSwitch'>) // of VMware's own kind, which descends from it
  }

  /** By which a distributed switch reaches the world; no machine's card belongs there. */
  #isUplink(network: Ref): boolean {
    return this.#switchOf(network)?.['config.uplinkPortgroup']?.includes(network) ?? false
  }

  /** The folder of our machines, made where it is not there. */
  folder(): Promise<Ref> {
    this.#folder ??= this.#findFolder().then(
      found => (this.#folderRef = found),
      error => {
        this.#folder = null
        throw error
      },
    )
    return this.#folder
  }

  /** A folder that somebody removed or renamed is made anew. */
  #heed(changed: Ref): void {
    if (changed === this.#folderRef && this.#item('Folder', changed)?.name !== this.#folderName) this.#folder = null
  }

  async #findFolder(): Promise<Ref> {
    const parent = this.#vmFolder()
    const { searchIndex } = this.vcenter.connection.content
    const find = () => this.vcenter.call(searchIndex!, 'FindChild', { entity: parent, name: this.#folderName })
    const found = await find()
    if (found) return found
    try {
      return await this.vcenter.call(parent, 'CreateFolder', { name: this.#folderName })
    } catch (error) {
      const made = isFault(error, 'DuplicateName') ? await find() : undefined
      if (made) return made
      throw error
    }
  }

  /** By which files on datastores are named. */
  get datacenter(): Ref<'Datacenter'> {
    for (const ref of ancestors(this.inventory, this.#ref))
      if (ref.startsWith('Datacenter:')) return ref as Ref<'Datacenter'>
    throw problems.gone('the datacenter of the cluster', undefined)
  }

  #vmFolder(): Ref {
    const folder = this.inventory.get(this.datacenter)?.vmFolder
    if (folder === undefined) throw problems.gone('the folder of machines in the datacenter', undefined)
    return folder
  }

  #item<K extends Followed>(kind: K, ref: Ref | undefined): Item<K> | undefined {
    return ref?.startsWith(`${kind}:`) ? this.inventory.get(ref as Ref<K>) : undefined
  }
}

/** An object, what it is in, what that is in, and so on. */
export function* ancestors(inventory: Inventory, ref: Ref): Generator<Ref> {
  for (let each: Ref | undefined = ref; each !== undefined; ) {
    yield each
    const item: { parent?: Ref | undefined } | undefined = inventory.get(each as Ref<'Folder'>)
    each = item?.parent
  }
}

/** Such as /DC0/vm/templates/debian-12; a slash in a name stands as %2f, as vSphere writes it. */
export function pathOf(inventory: Inventory, ref: Ref): string {
  const names = [...ancestors(inventory, ref)].map(each => inventory.get(each as Ref<'Folder'>)?.name)
  return names
    .filter(name => name !== undefined)
    .toReversed()
    .map(name => `/${name}`)
    .join('')
}

/** By its name, or by its datacenter's and its own: DC0/C0. */
function clusterNamed(inventory: Inventory, wanted: string): Ref {
  const all = [...inventory.all('ClusterComputeResource'), ...inventory.all('ComputeResource')].map(
    ([ref, { name = '' }]) => ({ ref, name, full: `${pathOf(inventory, ref).split('/')[1]}/${name}` }),
  )
  const found = all.filter(({ name, full }) => name === wanted || full === wanted)
  if (found.length === 1) return found[0]!.ref
  throw problems.noCluster(wanted, found.length, all.map(({ full }) => full).join(', '))
}

function silentHost(name: string): Problem {
  return new Problem('unavailable', 'host-silent', `vSphere has no connection to a host ${name} in the cluster`)
}

function missingPool(name: string): Problem {
  return new Problem('unavailable', 'pool-missing', `No host of the cluster reaches a datastore ${name}`)
}
