// Making and removing layers. Everything that reads or writes an account's layer runs as that account: a machine that was
// taken over may have put anything into its own file.
import { constants, copyFile, readFile, stat } from 'node:fs/promises'
import type { Driver, ImageFacts, LayerChain, LayerFacts, LayerRef, Progress } from '../driver.ts'
import { dirname, relative } from 'node:path'
import { chainAsFilename } from './blockdev.ts'
import { conversionLimits, imageAsFilename, imageInfo, inspectionLimits, openForStranger } from './strangers.ts'
import { layerFile, listLayers, onFull, readFacts, removeFiles, startPart, writeEmpty } from './layer-files.ts'
import type { PartFile } from './layer-files.ts'
import type { Identity, Privileges } from './privileges.ts'
import { isErrno, problems } from './problems.ts'
import { sectorBytes } from './qcow2.ts'
import { lastLine, runTool } from './tools.ts'
import type { ToolRun } from './tools.ts'

export function qemuLayers(privileges: Privileges): Driver['layers'] {
  return {
    seed: (layer, image, format, progress, signal) =>
      unlessThere(layer, () => seed(layer, image, format, progress, signal, privileges)),
    fork: (layer, base, virtualBytes, owner) =>
      unlessThere(layer, () => fork(layer, base, virtualBytes, privileges.account(owner))),
    copy: (layer, source, virtualBytes, owner, progress, signal) =>
      unlessThere(layer, () => copy(layer, source, virtualBytes, privileges.account(owner), progress, signal)),
    blank: (layer, virtualBytes, owner) =>
      unlessThere(layer, () => publishEmpty(layer, virtualBytes, null, privileges.account(owner))),
    facts: readFacts,
    discard: removeFiles,
    list: listLayers,
  }
}

async function unlessThere(layer: LayerRef, make: () => Promise<LayerFacts>): Promise<LayerFacts> {
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

function tipOf(chain: LayerChain): LayerRef {
  return chain.at(-1) ?? chain[0]
}

/** The new layer must show all of the disk that it starts from. */
async function requireRoom(layer: LayerRef, source: LayerRef, virtualBytes: number): Promise<LayerFacts> {
  const facts = await readFacts(source)
  if (!facts) throw problems.layerMissing(source.id)
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

type Make = (path: string) => Promise<void>

function empty(virtualBytes: number, backing: string | null): Make {
  const sectors = Math.ceil(virtualBytes / sectorBytes)
  return path => writeEmpty(path, sectors * sectorBytes, backing)
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

async function copy(
  layer: LayerRef,
  source: LayerChain,
  virtualBytes: number,
  owner: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<LayerFacts> {
  const tip = tipOf(source)
  const facts = await requireRoom(layer, tip, virtualBytes)
  if (source.length === 1 && facts.virtualBytes === virtualBytes) {
    const shared = await shareBlocks(layer, tip, owner)
    if (shared) return shared
  }
  return withPart(layer, empty(virtualBytes, null), owner, async part => {
    await convert(layer, chainAsFilename(source), part, { identity: owner, signal }, progress)
    return part.publish(0o600, owner)
  })
}

/** Copies by reference where the file system can (XFS, btrfs): 4 ms for a GiB. Never from a file that somebody writes. */
async function shareBlocks(layer: LayerRef, source: LayerRef, owner: Identity | null): Promise<LayerFacts | null> {
  const from = layerFile(source)
  if (await isLocked(from)) return null // qemu-img tells readers from writers, and refuses properly
  const make: Make = path => copyFile(from, path, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL)
  try {
    return await withPart(layer, make, owner, part => part.publish(0o600, owner))
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

/** Into the empty disk that `part` is: qemu-img need not create a file, nor write zeros to what is zero. */
async function convert(
  layer: LayerRef,
  source: string,
  part: PartFile,
  run: ToolRun,
  progress: Progress,
): Promise<void> {
  const options = ['-n', '--target-is-zero', '-W', '-m', '8', '-p', '-O', 'qcow2']
  const onOutput = (text: string) => reportPercent(text, progress)
  const { code, stderr } = await runTool('qemu-img', ['convert', ...options, source, part.path], { ...run, onOutput })
  if (code === 0) return progress(100)
  if (/No space left|Disk quota exceeded/.test(stderr)) throw problems.poolFull(layer.pool.path)
  if (/Failed to get .* lock/.test(stderr)) throw problems.layerInUse(new Error(lastLine(stderr)))
  throw problems.toolFailed('qemu-img convert', lastLine(stderr))
}

/** qemu-img writes `    (12.34/100%)\r` over and over. */
function reportPercent(text: string, progress: Progress): void {
  const last = [...text.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1)
  if (last) progress(Math.min(99, Number(last[1])))
}

/** Converting, even from qcow2, leaves behind all that a stranger's file may hold besides its disk. */
async function seed(
  layer: LayerRef,
  image: string,
  format: ImageFacts['format'],
  progress: Progress,
  signal: AbortSignal,
  { stranger }: Privileges,
): Promise<LayerFacts> {
  const file = await openForStranger(image, stranger)
  try {
    const run = { identity: stranger, file: file.fd, limits: inspectionLimits }
    const { virtualBytes } = await imageInfo(format, run)
    return await withPart(layer, empty(virtualBytes, null), stranger, async part => {
      await convert(layer, imageAsFilename(format), part, { ...run, limits: conversionLimits, signal }, progress)
      return part.publish(0o444, null)
    })
  } finally {
    await file.close()
  }
}
