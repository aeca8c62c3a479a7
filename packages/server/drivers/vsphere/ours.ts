// Which machines of the inventory are ours, by our ids. A machine or seed of ours has our id for its instance UUID, which vCenter keeps
// apart: a clone that somebody makes of it has another, though it inherits all the rest. A template of somebody else's keeps its own UUID,
// and is known by our id in the description of its base snapshot.
import { type LayerId, type TemplateId, type VmId, parseId } from '@ramet/core/ids.ts'
import type { Cluster } from './cluster.ts'
import { operationKey } from './clone-spec.ts'
import type { Change } from './inventory.ts'
import { type SnapshotNode, snapshotTree } from './snapshots.ts'
import { isFault } from './vim25/faults.ts'
import { readObject, readObjects } from './vim25/properties.ts'
import type { Ref } from './vim25/schema.ts'

export type MachineRef = Ref<'VirtualMachine'>
type Owned = { readonly kind: 'vm'; readonly id: VmId } | { readonly kind: 'seed'; readonly id: LayerId }

/** What is written into a machine that is made for this id. */
export const operationOf = { vm: (id: VmId) => `vm:${id}`, seed: (id: LayerId) => `seed:${id}` }

export class Ours {
  readonly #cluster: Cluster
  /** What the machines in our folder are; null: not ours. */
  readonly #known = new Map<MachineRef, Owned | null>()
  #changes = 0
  readonly #adopted = new Map<TemplateId, [MachineRef, SnapshotNode]>()
  readonly #byId = new Map<VmId | LayerId, MachineRef>()

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    // after all who want to know whose it was
    cluster.inventory.onChange(changes => queueMicrotask(() => this.#forget(changes)))
  }

  /**
   * Where the machine or seed is; null when there is none. The inventory may not have been told of it yet. What we know is asked for
   * once more: a server that lost its inventory gives the same names to other machines.
   */
  async find(id: VmId | LayerId): Promise<MachineRef | null> {
    const { vcenter } = this.#cluster
    const known = this.#byId.get(id)
    if (known && (await this.#isStill(known, id))) return known
    this.#byId.delete(id)
    const { searchIndex } = vcenter.connection.content
    const query = { uuid: id, vmSearch: true, instanceUuid: true }
    const found = (await vcenter.call(searchIndex!, 'FindByUuid', query)) as MachineRef | undefined
    if (found) this.#byId.set(id, found)
    return found ?? null
  }

  async #isStill(ref: MachineRef, id: VmId | LayerId): Promise<boolean> {
    try {
      const found = await readObject(this.#cluster.vcenter.connection, ref, ['config.instanceUuid'])
      return found['config.instanceUuid']?.toLowerCase() === id
    } catch (error) {
      if (isFault(error, 'ManagedObjectNotFound')) return false
      throw error
    }
  }

  /** What the machine is of ours, as far as was read; null where it is somebody else's. */
  what(ref: MachineRef): Owned | null {
    return this.#known.get(ref) ?? null
  }

  vmOf(ref: MachineRef): VmId | null {
    const owned = this.what(ref)
    return owned?.kind === 'vm' ? owned.id : null
  }

  /** All machines of ours, with what was not known of them read. */
  async machines(): Promise<[MachineRef, VmId][]> {
    await this.learn()
    const found: [MachineRef, VmId][] = []
    for (const [ref, owned] of this.#known) if (owned?.kind === 'vm') found.push([ref, owned.id])
    return found
  }

  /** The template and its base snapshot, as the inventory tells. */
  template(id: TemplateId): [MachineRef, SnapshotNode] | null {
    const adopted = this.#adopted.get(id)
    if (adopted) return adopted
    for (const [ref, { snapshot }] of this.#cluster.inventory.all('VirtualMachine')) {
      const base = snapshot && snapshotTree(snapshot).find(each => each.id === id)
      if (base) return [ref, base]
    }
    return null
  }

  /** It was made by us, whatever was read of it while it was being made. */
  own(id: VmId, ref: MachineRef): void {
    this.#byId.set(id, ref)
    this.#known.set(ref, { kind: 'vm', id })
  }

  /** The inventory may be told of it later. */
  remember(id: TemplateId, ref: MachineRef, base: SnapshotNode): void {
    this.#adopted.set(id, [ref, base])
  }

  forgetTemplate(id: TemplateId): void {
    this.#adopted.delete(id)
  }

  forget(id: VmId | LayerId): void {
    this.#byId.delete(id)
  }

  /** Reads what the machines in our folder are that we have not looked at. */
  async learn(): Promise<void> {
    const { inventory, vcenter } = this.#cluster
    const changes = this.#changes // what is read while it is being made says nothing
    const folder = await this.#cluster.folder()
    const strange = [...inventory.all('VirtualMachine')]
      .filter(([ref, { parent }]) => parent === folder && !this.#known.has(ref))
      .map(([ref]) => ref)
    const paths = ['config.extraConfig', 'config.instanceUuid'] as const
    for (const [ref, found] of await readObjects(vcenter.connection, 'VirtualMachine', strange, paths)) {
      const mark = found['config.extraConfig']?.find(({ key }) => key === operationKey)?.value
      const owned = ownedBy(typeof mark === 'string' ? mark : '', found['config.instanceUuid'])
      if (owned) this.#byId.set(owned.id, ref)
      if (owned || (!this.#known.get(ref) && changes === this.#changes)) this.#known.set(ref, owned)
    }
  }

  #forget(changes: readonly Change[]): void {
    this.#changes++
    for (const { ref } of changes) // it may have been read while it was being made
      if (this.#known.get(ref as MachineRef) === null) this.#known.delete(ref as MachineRef)
    const gone = new Set(changes.filter(({ change }) => change === 'went').map(({ ref }) => ref))
    if (gone.size === 0) return
    for (const ref of gone) this.#known.delete(ref as MachineRef)
    for (const [id, ref] of this.#byId) if (gone.has(ref)) this.#byId.delete(id)
    for (const [id, [ref]] of this.#adopted) if (gone.has(ref)) this.#adopted.delete(id)
  }
}

function ownedBy(mark: string, uuid: string | undefined): Owned | null {
  const [kind, id] = mark.split(':')
  if (id === undefined || id !== uuid?.toLowerCase()) return null
  if (kind === 'vm') return { kind, id: parseId<'vm'>(id)! }
  if (kind === 'seed') return { kind, id: parseId<'layer'>(id)! }
  return null
}
