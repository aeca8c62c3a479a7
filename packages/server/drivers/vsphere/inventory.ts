// Everything in a vCenter that we care for, held as the server tells of it: read once, and then followed by push.
import type { Vcenter } from './vcenter.ts'
import type { Kind, Path, Properties } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'
import { type Updates, Watch } from './vim25/watch.ts'

const followed = {
  Datacenter: ['name', 'parent', 'vmFolder'],
  Folder: ['name', 'parent'],
  ComputeResource: ['name', 'parent', 'resourcePool'],
  ClusterComputeResource: ['name', 'parent', 'resourcePool'],
  ResourcePool: ['name', 'parent', 'owner'],
  HostSystem: [
    'name',
    'parent',
    'datastore',
    'network',
    'runtime.connectionState',
    'runtime.inMaintenanceMode',
    'summary.config.product.version',
    'summary.hardware.numCpuThreads',
    'summary.hardware.cpuMhz',
    'summary.hardware.memorySize',
  ],
  Datastore: ['name', 'parent', 'summary.accessible', 'summary.capacity', 'summary.freeSpace', 'summary.type'],
  Network: ['name', 'parent'],
  DistributedVirtualPortgroup: ['name', 'parent', 'key', 'config.distributedVirtualSwitch'],
  DistributedVirtualSwitch: ['name', 'uuid', 'config.uplinkPortgroup'],
  VirtualMachine: [
    'name',
    'parent',
    'resourcePool',
    'datastore',
    'config.uuid',
    'config.instanceUuid',
    'config.template',
    'config.guestFullName',
    'config.hardware.numCPU',
    'config.hardware.memoryMB',
    'runtime.host',
    'runtime.powerState',
    'runtime.connectionState',
    'runtime.consolidationNeeded',
    'snapshot',
  ],
} as const satisfies { readonly [K in Kind]?: readonly Path<K>[] }

/** A server that lost its inventory gives the same names to other machines. */
const identity = 'config.instanceUuid'

export type Followed = keyof typeof followed
export type Item<K extends Followed> = Properties<K, Path<K> & (typeof followed)[K][number]>
export type Change = { readonly ref: Ref; readonly change: 'came' | 'changed' | 'went' }

export class Inventory {
  readonly #items = new Map<Ref, Readonly<Record<string, unknown>>>()
  readonly #listeners = new Set<(changes: readonly Change[]) => void>()
  readonly #vcenter: Vcenter
  readonly #watch: Watch

  private constructor(vcenter: Vcenter, mostAtOnce?: number) {
    this.#vcenter = vcenter
    this.#watch = new Watch(
      vcenter.connection,
      {
        prepare: collector => this.#prepare(collector),
        deliver: (updates, fresh) => this.#deliver(updates, fresh),
      },
      mostAtOnce,
    )
  }

  /** Fulfils when all there is has been read. */
  static async open(vcenter: Vcenter, mostAtOnce?: number): Promise<Inventory> {
    const inventory = new Inventory(vcenter, mostAtOnce)
    await inventory.#watch.start()
    return inventory
  }

  get<K extends Followed>(ref: Ref<K>): Item<K> | undefined {
    return this.#items.get(ref) as Item<K> | undefined
  }

  all<K extends Followed>(kind: K): ReadonlyMap<Ref<K>, Item<K>> {
    const found = [...this.#items].filter(([ref]) => ref.startsWith(`${kind}:`))
    return new Map(found as [Ref<K>, Item<K>][])
  }

  /** Calls `listener` with what has changed since the last call. Returns how to stop listening. */
  onChange(listener: (changes: readonly Change[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    return this.#watch.stop()
  }

  async #prepare(collector: Ref): Promise<void> {
    const { viewManager, rootFolder } = this.#vcenter.connection.content
    const kinds = Object.entries(followed).map(([type, pathSet]) => ({ type, pathSet }))
    const parameters = { container: rootFolder, type: kinds.map(({ type }) => type), recursive: true }
    const obj = await this.#vcenter.call(viewManager ?? 'ViewManager:ViewManager', 'CreateContainerView', parameters)
    const traverse = { is: 'TraversalSpec', type: 'ContainerView', path: 'view' } as const
    const spec = { propSet: kinds, objectSet: [{ obj, skip: true, selectSet: [traverse] }] }
    await this.#vcenter.call(collector, 'CreateFilter', { spec, partialUpdates: false })
  }

  #deliver(updates: Updates, fresh: boolean): void {
    const told = new Set(updates.map(({ obj }) => obj))
    const lost = fresh ? [...this.#items.keys()].filter(ref => !told.has(ref)) : []
    const changes = [...lost.map(ref => this.#remove(ref)), ...updates.flatMap(each => this.#apply(each, fresh))]
    for (const listener of this.#listeners) listener(changes)
  }

  #remove(ref: Ref): Change {
    this.#items.delete(ref)
    return { ref, change: 'went' }
  }

  #apply({ obj, kind, changeSet = [] }: Updates[number], fresh: boolean): Change[] {
    if (kind === 'leave') return [this.#remove(obj)]
    const known = this.#items.get(obj)
    const changed = changeSet.map(({ name, op, val }) => [
      name,
      op === 'remove' || op === 'indirectRemove' ? undefined : val,
    ])
    const item = { ...(fresh ? {} : known), ...Object.fromEntries(changed) }
    this.#items.set(obj, item)
    if (!known || !fresh || known[identity] === item[identity])
      return [{ ref: obj, change: known ? 'changed' : 'came' }]
    return [
      { ref: obj, change: 'went' },
      { ref: obj, change: 'came' },
    ]
  }
}
