// For tests: random histories of a forest of small real disks, without guests. Machines write, are snapshotted, reverted and
// cloned, and snapshots go in any order; after each step every layer that is left must show what the model says. The plans are
// those of the server, the files and merges those of the driver; in between, the process that has them open is killed.
import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '@ramet/core/ids.ts'
import type { LayerId } from '@ramet/core/ids.ts'
import { afterRemoval, type Forest, forestOf, type Layer, planRemoval, unnamed } from '@ramet/core/layer.ts'
import fc from 'fast-check'
import { anOwner } from '../contract.ts'
import type { LayerChain, LayerRef, PoolRef } from '../driver.ts'
import { type NbdDisk, StorageDaemon } from './disks/a-storage-daemon.ts'
import { layerFile } from './disks/layer-files.ts'
import { qemuLayers } from './disks/layers.ts'
import { privilegesOf, server } from './process/privileges.ts'
import { defaultUidBase } from './options.ts'
import { machineNodes, nodeName } from './disks/blockdev.ts'
import { qemuPools } from './host.ts'
import { beginMerge, mergeEnded } from './disks/stream-job.ts'

export type Step =
  | {
      readonly do: 'write'
      readonly vm: number
      readonly slot: number
      readonly value: number
      readonly whole: boolean
    }
  | { readonly do: 'snapshot' | 'destroy'; readonly vm: number }
  | { readonly do: 'revert' | 'clone'; readonly vm: number; readonly node: number }
  | { readonly do: 'delete'; readonly node: number; readonly killAfter: number | null }

const clusterBytes = 64 * 1024
const clusters = 6
/** The first and the last sector of each cluster are looked at. */
const slots = clusters * 2
const diskBytes = clusters * clusterBytes
const mostMachines = 4
const mostNodes = 16

const place = fc.nat(999)
export const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      vm: place,
      slot: fc.nat(slots - 1),
      value: fc.nat(250),
      whole: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('snapshot' as const), vm: place }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('revert' as const), vm: place, node: place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('clone' as const), vm: place, node: place }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('delete' as const),
      node: place,
      killAfter: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(3) }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('destroy' as const), vm: place }) },
)

export const aHistory = fc.array(aStep, { minLength: 30, maxLength: 30 })

/** Runs histories one after the other on one forest of disks that is emptied in between. */
export class ForestLab {
  readonly #pool: PoolRef
  readonly #layers = qemuLayers(privilegesOf(defaultUidBase, server.uid))
  readonly #disks = new Map<LayerId, NbdDisk>()
  #daemon: StorageDaemon
  #forest: Forest = new Map()
  /** What each layer shows. */
  #shown = new Map<LayerId, readonly number[]>()
  /** The layer that each machine writes, and those that snapshots name. */
  #machines: LayerId[] = []
  #nodes: LayerId[] = []

  private constructor(pool: PoolRef, daemon: StorageDaemon) {
    this.#pool = pool
    this.#daemon = daemon
  }

  /** In memory: how disks of the host behave is another matter. */
  static async open(): Promise<ForestLab> {
    const path = await mkdtemp('/dev/shm/ramet-forest-')
    await chmod(path, 0o711)
    const pool = { id: newId<'storage-pool'>(), path }
    await qemuPools(privilegesOf(defaultUidBase, server.uid)).prepare(pool)
    return new ForestLab(pool, await StorageDaemon.start(join(path, 'nbd.sock')))
  }

  async close(): Promise<void> {
    await this.#daemon.kill()
    await rm(this.#pool.path, { recursive: true, force: true })
  }

  async run(history: readonly Step[]): Promise<void> {
    await this.#begin()
    for (const step of history) {
      await this.#take(step)
      await this.#compare()
    }
    await this.#end()
  }

  /** A template's copy with something in it, and one machine on it. */
  async #begin(): Promise<void> {
    const base = newId<'layer'>()
    await this.#layers.blank(this.#ref(base), diskBytes, anOwner)
    this.#remember(
      base,
      null,
      false,
      Array.from({ length: slots }, () => 0),
    )
    await this.#openLayer(base, true)
    for (let slot = 0; slot < slots; slot += 3) await this.#write(base, slot, 251, false)
    await this.#closeLayer(base)
    await this.#openLayer(base, false)
    this.#machines = [await this.#fork(base)]
    this.#nodes = []
  }

  async #take(step: Step): Promise<void> {
    const vm = 'vm' in step ? step.vm % Math.max(1, this.#machines.length) : 0
    const active = this.#machines[vm]
    const node = 'node' in step ? this.#nodes[step.node % Math.max(1, this.#nodes.length)] : undefined
    if (step.do === 'write' && active) return this.#write(active, step.slot, step.value, step.whole)
    if (step.do === 'snapshot' && active && this.#nodes.length < mostNodes) {
      this.#nodes.push(active)
      this.#machines[vm] = await this.#fork(active)
    } else if (step.do === 'revert' && active && node) {
      this.#machines[vm] = await this.#fork(node)
      await this.#remove(active, null)
    } else if (step.do === 'clone' && node && this.#machines.length < mostMachines)
      this.#machines.push(await this.#fork(node))
    else if (step.do === 'delete' && node) {
      this.#nodes = this.#nodes.filter(each => each !== node)
      await this.#remove(node, step.killAfter)
    } else if (step.do === 'destroy' && active && this.#machines.length > 1) {
      this.#machines = this.#machines.filter(each => each !== active)
      await this.#remove(active, null)
    }
  }

  /** The new layer's parent is closed and opened again, for nobody writes it any more. */
  async #fork(parent: LayerId): Promise<LayerId> {
    const id = newId<'layer'>()
    await this.#layers.fork(this.#ref(id), this.#chain(parent), diskBytes, anOwner)
    this.#remember(id, parent, true, this.#shown.get(parent) ?? [])
    if (this.#isActive(parent)) {
      await this.#closeLayer(parent)
      await this.#openLayer(parent, false)
    }
    await this.#openLayer(id, true)
    return id
  }

  #isActive(id: LayerId): boolean {
    return this.#machines.includes(id)
  }

  async #write(id: LayerId, slot: number, value: number, whole: boolean): Promise<void> {
    const cluster = Math.floor(slot / 2)
    const bytes = Buffer.alloc(whole ? clusterBytes : 512, value)
    const at = whole ? cluster * clusterBytes : offsetOf(slot)
    await this.#diskOf(id).write(at, bytes)
    const slotsWritten = whole ? [cluster * 2, cluster * 2 + 1] : [slot]
    const shown = this.#shown.get(id) ?? []
    this.#shown.set(
      id,
      shown.map((old, index) => (slotsWritten.includes(index) ? value : old)),
    )
  }

  /** The name goes; the plan is the server's. */
  async #remove(id: LayerId, killAfter: number | null): Promise<void> {
    this.#forest = unnamed(this.#forest, [id])
    const plan = planRemoval(this.#forest, id)
    for (const step of plan) {
      if (step.op === 'merge') await this.#merge(step.layer, step.into, killAfter)
      if (step.op === 'discard') await this.#discard(step.layer)
      this.#forest = afterRemoval(this.#forest, [step])
    }
    for (const { id: left, named, owned } of this.#forest.values())
      assert.ok(named || !owned || this.#childrenOf(left).length > 1, `${left} is of no use to anybody`)
  }

  async #merge(from: LayerId, into: LayerId, killAfter: number | null): Promise<void> {
    const below = this.#forest.get(from)?.parent ?? null
    const onto = below && this.#ref(below)
    const merge = { deviceId: 0, into: this.#ref(into), onto, between: [this.#ref(from)], bytesPerSecond: null }
    if (killAfter !== null) {
      await beginMerge(this.#daemon.qmp, merge)
      await new Promise(resolve => setTimeout(resolve, killAfter))
      await this.#restart()
      await this.#compare()
    }
    await beginMerge(this.#daemon.qmp, merge)
    await mergeEnded(this.#daemon.qmp, merge, () => {}, new AbortController().signal)
    // As a machine's merge ends (merge-live.ts): before the lower layer may go.
    if (this.#isActive(into)) await this.#diskOf(into).flush()
  }

  async #discard(id: LayerId): Promise<void> {
    await this.#closeLayer(id)
    await this.#layers.discard(this.#ref(id))
    this.#shown.delete(id)
  }

  /** The process is killed and another opens everything anew, by the forest alone. */
  async #restart(): Promise<void> {
    await this.#daemon.kill()
    this.#daemon = await StorageDaemon.start(join(this.#pool.path, 'nbd.sock'))
    this.#disks.clear()
    const rest = [...this.#forest.values()]
    while (rest.length > 0) {
      const next = rest.findIndex(({ parent }) => parent === null || this.#disks.has(parent))
      const [layer] = rest.splice(next, 1)
      if (layer) await this.#openLayer(layer.id, this.#isActive(layer.id))
    }
  }

  async #compare(): Promise<void> {
    for (const [id, expected] of this.#shown) {
      const disk = this.#diskOf(id)
      const reads = expected.map((_, slot) => disk.read(offsetOf(slot), 1))
      const bytes = (await Promise.all(reads)).map(read => read[0])
      assert.deepEqual(bytes, expected, `layer ${id} shows something else`)
    }
  }

  /** Everything goes, whatever is named. */
  async #end(): Promise<void> {
    const rest = [...this.#forest.values()]
    while (rest.length > 0) {
      const next = rest.findIndex(({ id }) => !rest.some(({ parent }) => parent === id))
      const [layer] = rest.splice(next, 1)
      if (layer) await this.#discard(layer.id)
    }
    assert.deepEqual(await this.#layers.list(this.#pool), [])
    this.#forest = new Map()
    this.#shown = new Map()
  }

  #remember(id: LayerId, parent: LayerId | null, owned: boolean, shown: readonly number[]): void {
    const layer: Layer = { id, parent, named: true, owned, bytes: 0 }
    this.#forest = forestOf([...this.#forest.values(), layer])
    this.#shown.set(id, shown)
  }

  async #openLayer(id: LayerId, writable: boolean): Promise<void> {
    const chain = this.#chain(id)
    // As in a machine: the topmost of its chain is written, the others are not.
    const nodes = writable
      ? machineNodes(0, chain)
      : machineNodes(0, [...chain, this.#ref(id)] as unknown as LayerChain)
    const node = nodes[chain.length - 1]
    if (node) await this.#daemon.qmp.execute('blockdev-add', node)
    this.#disks.set(id, await this.#daemon.open(nodeName(0, this.#ref(id)), writable))
  }

  async #closeLayer(id: LayerId): Promise<void> {
    const disk = this.#disks.get(id)
    const name = nodeName(0, this.#ref(id))
    if (disk) await this.#daemon.close(name, disk)
    await this.#daemon.qmp.execute('blockdev-del', { 'node-name': name })
    this.#disks.delete(id)
  }

  #diskOf(id: LayerId): NbdDisk {
    const disk = this.#disks.get(id)
    if (!disk) throw new Error(`layer ${id} is not open`)
    return disk
  }

  #childrenOf(id: LayerId): Layer[] {
    return [...this.#forest.values()].filter(({ parent }) => parent === id)
  }

  #chain(id: LayerId): LayerChain {
    const parent = this.#forest.get(id)?.parent ?? null
    return (parent ? [...this.#chain(parent), this.#ref(id)] : [this.#ref(id)]) as unknown as LayerChain
  }

  #ref(id: LayerId): LayerRef {
    return { pool: this.#pool, id }
  }

  file(id: LayerId): string {
    return layerFile(this.#ref(id))
  }
}

function offsetOf(slot: number): number {
  return Math.floor(slot / 2) * clusterBytes + (slot % 2) * (clusterBytes - 512)
}
