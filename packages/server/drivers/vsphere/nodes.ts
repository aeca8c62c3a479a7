// Nodes that machines are made of: a machine of vSphere and one of its snapshots.
import type { TemplateId, VmId } from '@ramet/core/ids.ts'
import type { NodeFacts, NodeRef, SnapshotNode as SnapshotRefOfOurs } from '../forest.ts'
import { type Device, folderOf } from './devices.ts'
import { diskFacts } from './disk-facts.ts'
import type { MachineRef, Ours } from './ours.ts'
import { problems } from './problems.ts'
import { type SnapshotNode, type SnapshotRef, readSnapshots } from './snapshots.ts'
import { baseName } from './templates.ts'
import type { Vcenter } from './vcenter.ts'
import { readObject } from './vim25/properties.ts'

export interface Node {
  readonly source: MachineRef
  readonly snapshot: SnapshotRef
  readonly node: SnapshotNode
}

export class Nodes {
  readonly #vcenter: Vcenter
  readonly #ours: Ours

  constructor(vcenter: Vcenter, ours: Ours) {
    this.#vcenter = vcenter
    this.#ours = ours
  }

  async find(node: NodeRef): Promise<Node> {
    if (node.kind === 'template') return await this.#template(node.id)
    if (node.kind === 'vm-snapshot') return await this.snapshot(node)
    const source = (await this.#ours.find(node.id)) ?? missing('the seed of the VM snapshot')
    const base = (await readSnapshots(this.#vcenter, source)).find(({ name }) => name === baseName)
    return asNode(base ? [source, base] : null) ?? missing('the base of the seed')
  }

  /** As it is when it is copied. */
  async machine(id: VmId): Promise<{ source: MachineRef; snapshot: null }> {
    return { source: (await this.#ours.find(id)) ?? missing('the machine'), snapshot: null }
  }

  async snapshot(node: SnapshotRefOfOurs): Promise<Node> {
    const source = (await this.#ours.find(node.vm)) ?? missing('the machine')
    const found = (await readSnapshots(this.#vcenter, source)).find(({ id }) => id === node.id)
    return asNode(found ? [source, found] : null) ?? missing('the VM snapshot')
  }

  /** What was pushed of it may be the past. */
  async #template(id: TemplateId): Promise<Node> {
    const [source] = this.#ours.template(id) ?? missing('the template')
    const base = (await readSnapshots(this.#vcenter, source)).find(each => each.id === id)
    return asNode(base ? [source, base] : null) ?? missing('the template')
  }

  async facts({ source, snapshot, node }: Node): Promise<NodeFacts> {
    const { connection } = this.#vcenter
    await this.#vcenter.call(source, 'RefreshStorageInfo', {})
    const [{ config }, { layoutEx, 'config.files.vmPathName': file = '' }] = await Promise.all([
      readObject(connection, snapshot, ['config']),
      readObject(connection, source, ['layoutEx', 'config.files.vmPathName']),
    ])
    const frozen = layoutEx?.snapshot?.find(({ key }) => key === snapshot)?.disk
    const layout = layoutEx && { ...layoutEx, disk: frozen ?? layoutEx.disk }
    return {
      disks: diskFacts(config?.hardware.device, layout, folderOf(file)),
      withMemory: node.withMemory,
      cpus: config?.hardware.numCPU ?? 0,
      memoryMib: config?.hardware.memoryMB ?? 0,
    }
  }

  async devices({
    source,
    snapshot,
  }: {
    source: MachineRef
    snapshot: SnapshotRef | null
  }): Promise<readonly Device[]> {
    const of = snapshot ?? source
    return (await readObject(this.#vcenter.connection, of as MachineRef, ['config'])).config?.hardware.device ?? []
  }
}

function asNode(found: readonly [MachineRef, SnapshotNode] | null): Node | null {
  return found && { source: found[0], snapshot: found[1].ref, node: found[1] }
}

function missing(what: string): never {
  throw problems.gone(what, undefined)
}
