// Simulated disk layers: records, and the few blocks that a test writes.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LayerId } from '@ramet/core/ids.ts'
import { Problem } from '@ramet/core/problem.ts'
import type { Driver, LayerChain, LayerFacts, LayerRef, PoolRef, Progress } from '../driver.ts'
import type { Calling } from './calling.ts'
import { contentOf, mergeLayers } from './snapshots.ts'
import { type Blocks, change, type SimulatedLayer, type World } from './world.ts'

export const imageBytes = 2 ** 30
export const templateBytes = 64 * 2 ** 20
/** Of an empty one. */
export const overlayBytes = 196_616

export function simulatedLayers(world: World, call: Calling): Driver['layers'] {
  return {
    seed: async (layer, _image, _format, _owner, progress, signal) => {
      await call('layers.seed')
      await copying(world, progress, signal)
      return putLayer(world, layer, null, imageBytes, templateBytes)
    },
    fork: async (layer, base, virtualBytes) => {
      await call('layers.fork')
      demandLayers(world, base)
      demandLargeEnough(world, base, virtualBytes)
      return putLayer(world, layer, base.at(-1)?.id ?? null, virtualBytes, overlayBytes)
    },
    copy: async (layer, source, virtualBytes, _owner, progress, signal) => {
      await call('layers.copy')
      demandLayers(world, source)
      await copying(world, progress, signal)
      return putLayer(world, layer, null, virtualBytes, templateBytes, contentOf(world, layerIn(world, source).id))
    },
    graft: async (layer, source, base, _owner, progress, signal) => {
      await call('layers.graft')
      demandLayers(world, source)
      demandLayers(world, base)
      await copying(world, progress, signal)
      const { virtualBytes, allocatedBytes, blocks } = layerIn(world, source)
      return putLayer(world, layer, base.at(-1)?.id ?? null, virtualBytes, allocatedBytes, blocks)
    },
    blank: async (layer, virtualBytes) => {
      await call('layers.blank')
      return putLayer(world, layer, null, virtualBytes, overlayBytes)
    },
    resize: async (chain, virtualBytes) => {
      await call('layers.resize')
      demandLayers(world, chain)
      const layer = layerIn(world, chain)
      if (virtualBytes < layer.virtualBytes) refuseToCut(world, layer, virtualBytes)
      return putLayer(world, chain.at(-1) ?? chain[0], layer.base, virtualBytes, layer.allocatedBytes, layer.blocks)
    },
    export: async (chain, file, _owner, progress, signal) => {
      await call('layers.export')
      demandLayers(world, chain)
      await copying(world, progress, signal)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, `the disk ${layerIn(world, chain).id}`)
    },
    merge: async (chain, merge, _owner, progress, signal) => {
      await call('layers.merge', 0, signal)
      demandLayers(world, chain)
      await copying(world, progress, signal)
      return mergeLayers(world, chain, merge)
    },
    facts: async ({ id }) => {
      await call('layers.facts')
      return world.layers.get(id) ?? null
    },
    discard: async ({ id, pool }) => {
      await call('layers.discard')
      demandPool(world, pool)
      const children = world.children.get(id)
      if (children) throw new Error(`layer ${id} was discarded although ${children} others stand on it`)
      if (world.layers.has(id)) change(world, { layerGone: id })
    },
    list: async ({ id }) => {
      await call('layers.list')
      return [...world.layers.values()].filter(({ pool }) => pool === id).map(layer => layer.id)
    },
  }
}

export function putLayer(
  world: World,
  { id, pool }: LayerRef,
  base: LayerId | null,
  virtualBytes: number,
  allocatedBytes: number,
  blocks: Blocks = {},
): LayerFacts {
  demandPool(world, pool)
  const layer = { id, pool: pool.id, base, virtualBytes, allocatedBytes, blocks }
  change(world, { layer })
  return layer
}

export function demandPool(world: World, { path }: PoolRef): void {
  if (world.missingPools.has(path))
    throw new Problem('unavailable', 'pool-missing', `The storage pool at ${path} is not there`)
}

export function demandLayers(world: World, chain: LayerChain): void {
  for (const { id } of chain)
    if (!world.layers.has(id)) throw new Problem('unavailable', 'layer-missing', `There is no layer ${id}`)
}

export function layerIn(world: World, chain: LayerChain): SimulatedLayer {
  const tip = chain.at(-1) ?? chain[0]
  const layer = world.layers.get(tip.id)
  if (!layer) throw new Problem('unavailable', 'layer-missing', `There is no layer ${tip.id}`)
  return layer
}

/** Its data lie at the beginning, as many bytes as it occupies. */
function refuseToCut(world: World, layer: SimulatedLayer, virtualBytes: number): void {
  const base = layer.base ? world.layers.get(layer.base) : undefined
  if (base && virtualBytes < base.virtualBytes)
    throw new Problem('refused', 'disk-below-base', `The disk stands on one of ${base.virtualBytes} bytes`)
  if (virtualBytes < layer.allocatedBytes)
    throw new Problem('refused', 'disk-has-data', `The disk holds data up to byte ${layer.allocatedBytes}`)
}

function demandLargeEnough(world: World, base: LayerChain, virtualBytes: number): void {
  const least = layerIn(world, base).virtualBytes
  if (virtualBytes < least)
    throw new Problem(
      'invalid',
      'layer-smaller',
      `A layer of ${virtualBytes} bytes cannot stand on one of ${least} bytes`,
    )
}

/** A whole disk takes its time at the speed that was set, and tells how far it is. */
/** Takes as long as a template would; `most`: bytes a second. */
export async function copying(
  world: World,
  progress: Progress,
  signal: AbortSignal,
  most: number | null = null,
): Promise<void> {
  const paces = [world.behaviour.copyMibPerSecond * 2 ** 20, most ?? 0].filter(pace => pace > 0)
  const ms = paces.length === 0 ? 0 : (1000 * templateBytes) / Math.min(...paces)
  const pieces = Math.max(2, Math.ceil(ms / 250))
  for (let piece = 0; piece <= pieces; piece += 1) {
    signal.throwIfAborted()
    progress((100 * piece) / pieces)
    await delay(Math.max(1, ms / pieces), undefined, { signal })
  }
}
