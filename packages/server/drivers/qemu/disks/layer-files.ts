// Layers as files of a pool: `<pool>/layers/<layer id>.qcow2`. One that is being made is `<layer id>.qcow2.<random>.part` and gets
// its name when all of it is on the disk, so a file with the final name is always whole. Each attempt has a part of its own: a
// server that slept may still be at work when another began anew, and neither may publish what the other has half written.
// The folder belongs to the server; a machine's own user may write the file but can never put another in its place.
import { constants } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { link, open, readdir, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseId } from '@ramet/core/ids.ts'
import type { LayerId } from '@ramet/core/ids.ts'
import { makeFolders, readMark } from '../../../folder-mark.ts'
import type { LayerFacts, LayerRef, PoolRef } from '../../driver.ts'
import type { Identity } from '../process/privileges.ts'
import { give, server } from '../process/privileges.ts'
import { isErrno, problems } from '../problems.ts'
import { emptyImage, readHeader, sectorBytes } from './qcow2.ts'

const layers = 'layers'

export function layersFolder(pool: PoolRef): string {
  return join(pool.path, layers)
}

export function layerFile({ pool, id }: LayerRef): string {
  return join(layersFolder(pool), `${id}.qcow2`)
}

/** Machines of all accounts pass through these folders, and see nothing of what is in them but what they can name. */
export async function makePoolFolders(pool: PoolRef): Promise<void> {
  await makeFolders(pool.path, layers)
}

/**
 * Throws unless the pool is there: where its file system is not mounted, the empty folder beneath must not be taken for it.
 * Pools from before there were marks have none, but their layers' folder is there.
 */
export async function requirePool(pool: PoolRef): Promise<void> {
  const mark = await readMark(pool.path)
  if (mark === pool.id) return
  if (mark === null && (await isFolder(layersFolder(pool)))) return
  throw problems.poolMissing(pool.path, mark)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}

export async function readFacts(layer: LayerRef): Promise<LayerFacts | null> {
  const file = await openExisting(layerFile(layer))
  if (!file) return null
  try {
    return { virtualBytes: await readVirtualBytes(layer, file), allocatedBytes: (await file.stat()).blocks * 512 }
  } finally {
    await file.close()
  }
}

/** The same of a layer that must be there. */
export async function factsOf(layer: LayerRef): Promise<LayerFacts> {
  const facts = await readFacts(layer)
  if (!facts) throw problems.layerMissing(layer.id)
  return facts
}

async function readVirtualBytes(layer: LayerRef, file: FileHandle): Promise<number> {
  const { buffer } = await file.read(Buffer.alloc(104), 0, 104, 0)
  const header = readHeader(buffer)
  if (!header) throw problems.layerDamaged(layer.id)
  return header.virtualBytes
}

async function openExisting(file: string): Promise<FileHandle | null> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

/** What is being made. `publish` names it for good; whatever happens, `close` leaves nothing half-made. */
export interface PartFile {
  readonly path: string
  /** `owner` null: the server itself. */
  publish(mode: number, owner: Identity | null): Promise<LayerFacts>
  close(): Promise<void>
}

/** A file that `make` makes under a temporary name, for `writer` to fill. */
export async function startPart(layer: LayerRef, make: Make, writer: Identity | null): Promise<PartFile> {
  const path = `${layerFile(layer)}.${randomUUID()}.part`
  const file = await makeAndOpen(path, make, writer)
  return {
    path,
    async publish(mode, owner) {
      await file.chmod(mode)
      await give(file, owner ?? server)
      await file.sync()
      await link(path, layerFile(layer)) // fails where another attempt came first: a machine may write to that one already
      await dropParts(layer)
      await syncFolder(dirname(path))
      return { virtualBytes: await readVirtualBytes(layer, file), allocatedBytes: (await file.stat()).blocks * 512 }
    },
    async close() {
      await file.close()
      await rm(path, { force: true })
    },
  }
}

export async function makeAndOpen(path: string, make: Make, writer: Identity | null): Promise<FileHandle> {
  try {
    await make(path)
    const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
    await file.chmod(0o600)
    await give(file, writer)
    return file
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

/** Once a layer is there, what any attempt left of it is of no use. */
async function dropParts({ pool, id }: LayerRef): Promise<void> {
  const folder = layersFolder(pool)
  const parts = (await namesIn(folder)).filter(name => name.startsWith(`${id}.`) && name.endsWith('.part'))
  for (const name of parts) await rm(join(folder, name), { force: true })
}

/** An empty disk as a new file. */
export async function writeEmpty(path: string, virtualBytes: number, backing: string | null): Promise<void> {
  const { pieces, fileBytes } = emptyImage(virtualBytes, backing)
  const file = await open(path, 'wx', 0o600)
  try {
    await file.truncate(fileBytes)
    for (const { offset, bytes } of pieces) await file.write(bytes, 0, bytes.length, offset)
  } finally {
    await file.close()
  }
}

export type Make = (path: string) => Promise<void>

export function empty(virtualBytes: number, backing: string | null): Make {
  const sectors = Math.ceil(virtualBytes / sectorBytes)
  return path => writeEmpty(path, sectors * sectorBytes, backing)
}

/** `error` in the user's words where it says that the pool is full. */
export function onFull(layer: { readonly pool: PoolRef }, error: unknown): unknown {
  return isErrno(error, 'ENOSPC', 'EDQUOT') ? problems.poolFull(layer.pool.path, error) : error
}

/** Puts on the disk what the kernel holds of a file. */
export async function flushFile(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  await file.datasync().finally(() => file.close())
}

/** A new or removed name is only on the disk once its folder is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function removeFiles({ pool, id }: LayerRef): Promise<void> {
  const folder = layersFolder(pool)
  const companions = (await namesIn(folder)).filter(name => name.startsWith(`${id}.`))
  if (companions.length === 0) return
  for (const name of companions) await rm(join(folder, name), { force: true, recursive: true })
  await syncFolder(folder)
}

export async function listLayers(pool: PoolRef): Promise<LayerId[]> {
  const ids = (await namesIn(layersFolder(pool))).map(name => parseId<'layer'>(name.split('.')[0] ?? ''))
  return [...new Set(ids.filter(id => id !== null))]
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
