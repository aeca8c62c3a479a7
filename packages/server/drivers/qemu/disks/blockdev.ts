// A layer chain as QEMU's block graph. Every file that may be opened is named here: the backing file's name in a header is
// never followed, because the process that owns a layer could write any name into it.
import type { LayerChain, LayerRef } from '../../driver.ts'
import { layerFile } from './layer-files.ts'

export type BlockNode = Readonly<Record<string, unknown>>

/** Names have at most 31 characters; 96 bits of the layer's id and the disk tell them apart within one machine. */
export function nodeName(deviceId: number, layer: LayerRef): string {
  return `d${deviceId}-${layer.id.replaceAll('-', '').slice(0, 24)}`
}

export function tipOf(chain: LayerChain): LayerRef {
  return chain.at(-1) ?? chain[0]
}

/** The node that the machine writes. */
export function tipName(deviceId: number, chain: LayerChain): string {
  return nodeName(deviceId, tipOf(chain))
}

/** One node per layer, base first, each named by the next as its backing: for `-blockdev`. */
export function machineNodes(deviceId: number, chain: LayerChain): BlockNode[] {
  return chain.map((layer, index) => {
    const below = chain[index - 1]
    const active = index === chain.length - 1
    return {
      'node-name': nodeName(deviceId, layer),
      driver: 'qcow2',
      // What is below is read-only too, by inheritance: said outright, it would stay so when QEMU merges into the layer.
      file: active ? fileNode(layerFile(layer), false) : baseFileNode(layerFile(layer)),
      backing: below ? nodeName(deviceId, below) : null,
      'read-only': !active,
      // Guests that free blocks give the space back to the pool; so do those that write zeros.
      ...(active ? { discard: 'unmap', 'detect-zeroes': 'unmap' } : {}),
    }
  })
}

/** Write-back: the host's page cache is shared by all clones of a base, and a guest's flush still reaches the disk. */
function fileNode(filename: string, readOnly: boolean): BlockNode {
  return { ...baseFileNode(filename), ...(readOnly ? { 'read-only': true } : { discard: 'unmap' }) }
}

/** Locks are on by our word: QEMU then refuses a file that another process writes. */
function baseFileNode(filename: string): BlockNode {
  return { driver: 'file', filename, locking: 'on', cache: { direct: false, 'no-flush': false } }
}

/** The same chain as one file name for qemu-img, read-only. */
export function chainAsFilename(chain: LayerChain): string {
  return `json:${JSON.stringify(nested(chain))}`
}

/** A chain whose topmost layer qemu-img is to write. */
export function writableChainAsFilename(chain: LayerChain): string {
  return fileOnChainAsFilename(layerFile(tipOf(chain)), chain.slice(0, -1))
}

/** A file that qemu-img is to write, standing on `below`. */
export function fileOnChainAsFilename(filename: string, below: readonly LayerRef[]): string {
  return `json:${JSON.stringify({ driver: 'qcow2', file: fileNode(filename, false), backing: nested(below) })}`
}

function nested(layers: readonly LayerRef[]): BlockNode | null {
  const top = layers.at(-1)
  if (!top) return null
  return {
    driver: 'qcow2',
    file: fileNode(layerFile(top), true),
    backing: nested(layers.slice(0, -1)),
    'read-only': true,
  }
}
