// The cut: all disks of a running machine get new topmost layers at one instant, by one QMP transaction; nothing of it is done or all.
// Asked for the memory too, the transaction waits for the instant at which the machine stands still (save-memory.ts).
import type {
  Cut,
  CutFacts,
  DiskCut,
  LayerChain,
  LayerRef,
  MemoryImageFacts,
  MemoryImageRef,
  Progress,
} from '../../driver.ts'
import { activeLayers } from '../disks/active-layers.ts'
import { machineNodes, nodeName, tipName, tipOf } from '../disks/blockdev.ts'
import { flushFile, layerFile, requirePool } from '../disks/layer-files.ts'
import type { Machine } from './machine.ts'
import { onPool, readImageFacts } from '../memory/memory-files.ts'
import type { MemoryImages } from '../memory/memory-images.ts'
import type { Accelerator, Log } from '../options.ts'
import { demandRoom, persistImage } from '../memory/persist-memory.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import type { Qmp } from '../process/qmp.ts'
import { quiesce, wake } from '../guest/quiesce.ts'
import { saveMemory } from '../memory/save-memory.ts'
import { shapeOf } from './shape.ts'
import { successionOf } from './succession.ts'
import { NoSuccessor, succeed } from './successor.ts'

/** A flush of what was written since takes its time on a slow disk. */
const transactionLimitMs = 60_000

/** What a cut needs to know of its surroundings. */
export interface Cutting {
  readonly images: MemoryImages
  readonly accelerator: Accelerator
  readonly identity: Identity | null
  readonly log: Log
  /** Told the process that is the machine from then on, where it was replaced. */
  readonly become: (machine: Machine) => void
  readonly progress: Progress
  readonly signal: AbortSignal
}

export async function cutMachine(machine: Machine, wanted: Cut, cutting: Cutting): Promise<CutFacts> {
  cutting.signal.throwIfAborted()
  if (await isCut(machine, wanted)) return earlierCut(wanted, cutting)
  const qmp = await machine.monitor()
  try {
    return await cutQuiesced(machine, wanted, cutting)
  } catch (error) {
    if (machine.alive) await dropUnused(qmp, machine, wanted.disks).catch(() => {}) // the first failure is the one to tell
    throw error
  }
}

/** True when all disks write the new layers, false when all write the old ones. */
async function isCut(machine: Machine, { disks }: Cut): Promise<boolean> {
  const active = await activeLayers(machine)
  if (disks.every(({ disk, layer }) => active.get(disk.deviceId) === layer.id)) return true
  const other = disks.find(({ disk }) => active.get(disk.deviceId) !== tipOf(disk.chain).id)
  if (other) throw problems.otherLayer(other.disk.deviceId)
  return false
}

/** Where an earlier try left the memory in the host's, it is copied from there. */
async function earlierCut({ memory, inHostMemory }: Cut, cutting: Cutting): Promise<CutFacts> {
  const at = memory && (await cutting.images.find(memory))
  const facts = at && (await readImageFacts(at))
  if (memory && !facts) throw problems.memoryNotSaved()
  const stays = !facts?.inHostMemory || inHostMemory
  if (memory && !facts?.inHostMemory) await cutting.images.discardInHost(memory) // what an earlier try had copied
  return { stunMs: null, quiesced: null, memory: memory && !stays ? await persist(memory, cutting) : facts }
}

function persist(image: MemoryImageRef, { images, identity, progress, signal }: Cutting): Promise<MemoryImageFacts> {
  return persistImage(image, images, identity, progress, signal)
}

async function cutQuiesced(machine: Machine, wanted: Cut, cutting: Cutting): Promise<CutFacts> {
  const rest = wanted.quiesce ? await quiesce(machine) : null
  let current = machine
  const become = (next: Machine) => {
    current = next
    cutting.become(next)
  }
  try {
    const isAtRest = rest !== null && rest.outcome !== 'agent-missing'
    const done = wanted.memory
      ? await cutWithMemory(machine, wanted, wanted.memory, isAtRest, { ...cutting, become })
      : { stunMs: await cutDisksOnly(machine, wanted.disks), memory: null }
    return { quiesced: rest?.outcome ?? null, ...done }
  } finally {
    if (current === machine) await rest?.wake()
    else if (rest) await wake(current)
  }
}

/** By a successor where there can be one; else its memory is copied while it runs. */
async function cutWithMemory(
  machine: Machine,
  wanted: Cut,
  memory: MemoryImageRef,
  quiesced: boolean,
  cutting: Cutting,
): Promise<Pick<CutFacts, 'stunMs' | 'memory' | 'way'>> {
  const { images, accelerator, identity, log, become, progress, signal } = cutting
  const { status, running } = await (await machine.monitor()).execute('query-status')
  if (!running) throw problems.machinePaused(status)
  const [image, shape] = [images.inHost(memory), await shapeOf(machine)]
  const plan = await successionOf(machine, wanted, image, shape, accelerator)
  if (typeof plan === 'string') return cutByCopy(machine, wanted, memory, quiesced, plan, cutting)
  await requirePool(memory.pool)
  if (!wanted.inHostMemory) await demandRoom(memory, machine.found.folder.ram)
  await flushTips(wanted.disks)
  signal.throwIfAborted()
  try {
    const done = await succeed(machine, { plan, image, shape, quiesced, identity, log }, become)
    const facts = wanted.inHostMemory ? done.memory : await persistOrDiscard(memory, cutting)
    progress(100)
    return { stunMs: done.stunMs, memory: facts, way: 'successor' }
  } catch (error) {
    if (!(error instanceof NoSuccessor) || !machine.alive) throw error
    log.warn({ vm: machine.vm, err: error }, 'no successor could be started')
    return cutByCopy(machine, wanted, memory, quiesced, 'its successor could not be started', cutting)
  }
}

async function cutByCopy(
  machine: Machine,
  wanted: Cut,
  memory: MemoryImageRef,
  quiesced: boolean,
  why: string,
  { images, identity, log, progress, signal }: Cutting,
): Promise<Pick<CutFacts, 'stunMs' | 'memory' | 'way'>> {
  log.info({ vm: machine.vm, why }, 'the memory is copied while the machine runs')
  const to = wanted.inHostMemory ? images.inHost(memory) : onPool(memory)
  await addLayers(await machine.monitor(), wanted.disks)
  const cut = () => switchLayers(machine, wanted.disks)
  return { ...(await saveMemory(machine, to, quiesced, identity, cut, progress, signal)), way: 'copy' }
}

/** No half of an image is left; the disks are cut, as the caller can see. */
async function persistOrDiscard(image: MemoryImageRef, cutting: Cutting): Promise<MemoryImageFacts> {
  try {
    return await persist(image, cutting)
  } catch (error) {
    await cutting.images.discardInHost(image).catch(() => {}) // the first failure is the one to tell
    throw error
  }
}

/** New nodes on nothing; the transaction puts them where they belong. */
async function addLayers(qmp: Qmp, disks: readonly DiskCut[]): Promise<void> {
  const there = new Set((await qmp.execute('query-named-block-nodes', { flat: true })).map(node => node['node-name']))
  for (const { disk, layer } of disks) {
    const node = machineNodes(disk.deviceId, [...disk.chain, layer] as unknown as LayerChain).at(-1)
    if (node && !there.has(String(node['node-name']))) await qmp.execute('blockdev-add', { ...node, backing: null })
  }
}

async function cutDisksOnly(machine: Machine, disks: readonly DiskCut[]): Promise<number> {
  await addLayers(await machine.monitor(), disks)
  await flushTips(disks)
  const begin = performance.now()
  await switchLayers(machine, disks)
  return performance.now() - begin
}

/** What QEMU flushes in the instant is less then. */
async function flushTips(disks: readonly DiskCut[]): Promise<void> {
  await Promise.all(disks.map(({ disk }) => flush(tipOf(disk.chain))))
}

async function switchLayers(machine: Machine, disks: readonly DiskCut[]): Promise<void> {
  const qmp = await machine.monitor()
  const actions = disks.map(({ disk: { deviceId, chain }, layer }) => ({
    type: 'blockdev-snapshot' as const,
    data: { node: tipName(deviceId, chain), overlay: nodeName(deviceId, layer) },
  }))
  await qmp.execute('transaction', { actions }, transactionLimitMs)
}

/** Puts on the disk what the kernel holds of the file. */
export function flush(layer: LayerRef): Promise<void> {
  return flushFile(layerFile(layer))
}

/** Nodes of layers that no disk writes hold locks on their files. */
async function dropUnused(qmp: Qmp, machine: Machine, disks: readonly DiskCut[]): Promise<void> {
  const active = await activeLayers(machine)
  const there = new Set((await qmp.execute('query-named-block-nodes', { flat: true })).map(node => node['node-name']))
  for (const { disk, layer } of disks) {
    const name = nodeName(disk.deviceId, layer)
    if (there.has(name) && active.get(disk.deviceId) !== layer.id)
      await qmp.execute('blockdev-del', { 'node-name': name })
  }
}
