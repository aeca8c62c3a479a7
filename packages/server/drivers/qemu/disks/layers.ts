// Making and removing layers. Everything that reads or writes an account's layer runs as that account: a machine that was
// taken over may have put anything into its own file.
import { constants, copyFile, readFile, stat } from 'node:fs/promises'
import type { Driver, ImageFacts, LayerChain, LayerFacts, LayerRef, Owner, Progress } from '../../driver.ts'
import { dirname, relative } from 'node:path'
import { chainAsFilename, fileOnChainAsFilename, tipOf } from './blockdev.ts'
import { convert, flatTarget } from './convert.ts'
import { exportChain } from './export-layer.ts'
import {
  conversionLimits,
  imageAsFilename,
  imageInfo,
  inspectionLimits,
  openForStranger,
} from '../process/strangers.ts'
import {
  empty,
  factsOf,
  layerFile,
  listLayers,
  onFull,
  readFacts,
  removeFiles,
  requirePool,
  startPart,
} from './layer-files.ts'
import type { Make, PartFile } from './layer-files.ts'
import { mergeLayer } from './merge-layer.ts'
import type { Identity, Privileges } from '../process/privileges.ts'
import { isErrno, problems } from '../problems.ts'
import { resizeLayer } from './resize-layer.ts'

export function qemuLayers(privileges: Privileges): Driver['layers'] {
  return {
    seed: (layer, image, format, owner, progress, signal) =>
      unlessThere(layer, () => seed(layer, image, format, owner, progress, signal, privileges)),
    fork: (layer, base, virtualBytes, owner) =>
      unlessThere(layer, () => fork(layer, base, virtualBytes, privileges.account(owner))),
    copy: (layer, source, virtualBytes, owner, progress, signal, reader) =>
      unlessThere(layer, () =>
        copy(layer, source, virtualBytes, copierOf(privileges, owner, reader), progress, signal),
      ),
    graft: (layer, source, base, owner, progress, signal) =>
      unlessThere(layer, () => graft(layer, source, base, privileges.account(owner), progress, signal)),
    blank: (layer, virtualBytes, owner) =>
      unlessThere(layer, () => publishEmpty(layer, virtualBytes, null, privileges.account(owner))),
    resize: (chain, virtualBytes, owner) => resizeLayer(chain, virtualBytes, privileges.account(owner)),
    export: (chain, file, owner, progress, signal) =>
      exportChain(chain, file, privileges.account(owner), progress, signal),
    merge: async (chain, merge, owner, progress, signal) => {
      await requirePool(merge.into.pool)
      return mergeLayer(chain, merge, privileges.account(owner), progress, signal)
    },
    facts: async layer => {
      await requirePool(layer.pool)
      return readFacts(layer)
    },
    discard: async layer => {
      await requirePool(layer.pool)
      await removeFiles(layer)
    },
    list: async pool => {
      await requirePool(pool)
      return listLayers(pool)
    },
  }
}

async function unlessThere(layer: LayerRef, make: () => Promise<LayerFacts>): Promise<LayerFacts> {
  await requirePool(layer.pool)
  return (await readFacts(layer)) ?? (await make())
}

async function fork(
  layer: LayerRef,
  base: LayerChain,
  virtualBytes: number,
  owner: Identity | null,
): Promise<LayerFacts> {
  const tip = tipOf(base)
  await requireRoom(layer, tip, virtualBytes)
  // The name serves people with qemu-img at hand. It is relative, so that a pool can be moved; we never follow it.
  return publishEmpty(layer, virtualBytes, relative(dirname(layerFile(layer)), layerFile(tip)), owner)
}

/** The new layer must show all of the disk that it starts from. */
async function requireRoom(layer: LayerRef, source: LayerRef, virtualBytes: number): Promise<LayerFacts> {
  const facts = await factsOf(source)
  if (virtualBytes < facts.virtualBytes) throw problems.layerSmaller(layer.id, facts.virtualBytes)
  return facts
}

function publishEmpty(
  layer: LayerRef,
  virtualBytes: number,
  backing: string | null,
  owner: Identity | null,
): Promise<LayerFacts> {
  return withPart(layer, empty(virtualBytes, backing), owner, part => part.publish(0o600, owner))
}

async function withPart(
  layer: LayerRef,
  make: Make,
  writer: Identity | null,
  use: (part: PartFile) => Promise<LayerFacts>,
): Promise<LayerFacts> {
  try {
    const part = await startPart(layer, make, writer)
    try {
      return await use(part)
    } finally {
      await part.close()
    }
  } catch (error) {
    // Another attempt at the same layer may have been faster, and have removed this one's part.
    const published = await readFacts(layer).catch(() => null)
    if (published) return published
    throw onFull(layer, error)
  }
}

/** Who reads a source and writes its copy, and how that is handed over when it is whole. */
interface Copier {
  readonly identity: Identity | null
  readonly publish: (part: PartFile) => Promise<LayerFacts>
}

function copierOf({ account, stranger }: Privileges, owner: Owner | null, reader: Owner | null = owner): Copier {
  return {
    identity: reader ? account(reader) : stranger,
    publish: part => (owner ? part.publish(0o600, account(owner)) : part.publish(0o444, null)),
  }
}

async function copy(
  layer: LayerRef,
  source: LayerChain,
  virtualBytes: number,
  copier: Copier,
  progress: Progress,
  signal: AbortSignal,
): Promise<LayerFacts> {
  const tip = tipOf(source)
  const facts = await requireRoom(layer, tip, virtualBytes)
  if (source.length === 1 && facts.virtualBytes === virtualBytes) {
    const shared = await shareBlocks(layer, tip, copier)
    if (shared) return shared
  }
  const { identity, publish } = copier
  return withPart(layer, empty(virtualBytes, null), identity, async part => {
    await convert(chainAsFilename(source), flatTarget(part.path), layer.pool.path, { identity, signal }, progress)
    return publish(part)
  })
}

/** Only what the topmost layer itself holds is written: the rest is in the new base, byte for byte. */
async function graft(
  layer: LayerRef,
  source: LayerChain,
  base: LayerChain,
  owner: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<LayerFacts> {
  const { virtualBytes } = await factsOf(tipOf(source))
  await requireRoom(layer, tipOf(base), virtualBytes)
  const name = relative(dirname(layerFile(layer)), layerFile(tipOf(base)))
  return withPart(layer, empty(virtualBytes, name), owner, async part => {
    const target = ['-n', '-B', layerFile(tipOf(base)), '-F', 'qcow2', fileOnChainAsFilename(part.path, base)]
    await convert(chainAsFilename(source), target, layer.pool.path, { identity: owner, signal }, progress)
    return part.publish(0o600, owner)
  })
}

/** Copies by reference where the file system can (XFS, btrfs): 4 ms for a GiB. Never from a file that somebody writes. */
async function shareBlocks(layer: LayerRef, source: LayerRef, copier: Copier): Promise<LayerFacts | null> {
  const from = layerFile(source)
  if (await isLocked(from)) return null // qemu-img tells readers from writers, and refuses properly
  const make: Make = path => copyFile(from, path, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL)
  try {
    return await withPart(layer, make, copier.identity, copier.publish)
  } catch (error) {
    if (isErrno(error, 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY')) return null
    throw error
  }
}

/** Compared by inode alone: btrfs reports another device number here than stat does. */
async function isLocked(file: string): Promise<boolean> {
  const { ino } = await stat(file)
  return (await readFile('/proc/locks', 'utf8')).includes(`:${ino} `)
}

/** Converting, even from qcow2, leaves behind all that a stranger's file may hold besides its disk. */
async function seed(
  layer: LayerRef,
  image: string,
  format: ImageFacts['format'],
  owner: Owner | null,
  progress: Progress,
  signal: AbortSignal,
  { stranger, account }: Privileges,
): Promise<LayerFacts> {
  const file = await openForStranger(image, stranger)
  try {
    const run = { identity: stranger, file: file.fd, limits: inspectionLimits }
    const { virtualBytes } = await imageInfo(format, run)
    return await withPart(layer, empty(virtualBytes, null), stranger, async part => {
      const tool = { ...run, limits: conversionLimits, signal }
      await convert(imageAsFilename(format), flatTarget(part.path), layer.pool.path, tool, progress)
      return owner ? part.publish(0o600, account(owner)) : part.publish(0o444, null)
    })
  } finally {
    await file.close()
  }
}
