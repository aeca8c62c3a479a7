// The cut: all disks of a running machine get new topmost layers at one instant, by one QMP transaction; nothing of it is done or all.
// Asked for the memory too, the transaction waits for the instant at which the machine stands still (save-memory.ts).
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Cut, CutFacts, DiskCut, LayerChain, LayerRef, Progress } from '../driver.ts'
import { activeLayers } from './active-layers.ts'
import { machineNodes, nodeName, tipName, tipOf } from './blockdev.ts'
import { layerFile } from './layer-files.ts'
import type { Machine } from './machine.ts'
import { readImageFacts } from './memory-files.ts'
import type { Identity } from './privileges.ts'
import { problems } from './problems.ts'
import type { Qmp } from './qmp.ts'
import { quiesce } from './quiesce.ts'
import { saveMemory } from './save-memory.ts'

/** A flush of what was written since takes its time on a slow disk. */
const transactionLimitMs = 60_000

export async function cutMachine(
  machine: Machine,
  wanted: Cut,
  identity: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<CutFacts> {
  signal.throwIfAborted()
  if (await isCut(machine, wanted)) return earlierCut(wanted)
  const qmp = await machine.monitor()
  try {
    await addLayers(qmp, wanted.disks)
    return await cutQuiesced(machine, wanted, identity, progress, signal)
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

async function earlierCut({ memory }: Cut): Promise<CutFacts> {
  const facts = memory && (await readImageFacts(memory))
  if (memory && !facts) throw problems.memoryNotSaved()
  return { stunMs: null, quiesced: null, memory: facts }
}

async function cutQuiesced(
  machine: Machine,
  wanted: Cut,
  identity: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<CutFacts> {
  const rest = wanted.quiesce ? await quiesce(machine) : null
  try {
    const isAtRest = rest !== null && rest.outcome !== 'agent-missing'
    const { stunMs, memory } = wanted.memory
      ? await saveMemory(
          machine,
          wanted.memory,
          isAtRest,
          identity,
          () => switchLayers(machine, wanted.disks),
          progress,
          signal,
        )
      : { stunMs: await switchOnly(machine, wanted.disks), memory: null }
    return { stunMs, quiesced: rest?.outcome ?? null, memory }
  } finally {
    await rest?.wake()
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

async function switchOnly(machine: Machine, disks: readonly DiskCut[]): Promise<number> {
  await Promise.all(disks.map(({ disk }) => flush(tipOf(disk.chain)))) // what QEMU flushes in the instant is less then
  const begin = performance.now()
  await switchLayers(machine, disks)
  return performance.now() - begin
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
export async function flush(layer: LayerRef): Promise<void> {
  const file = await open(layerFile(layer), constants.O_RDONLY | constants.O_NOFOLLOW)
  await file.datasync().finally(() => file.close())
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
