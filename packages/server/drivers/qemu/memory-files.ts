// Memory images as files of a pool: `<pool>/memory/<id>.ram`, the guest's memory, with holes where it is zero; `.state`, the
// state of the devices as QEMU's incoming migration reads it; `.json`, what both fit. The last is written when all else is on the disk,
// so an image with it is whole. The first belongs to the account: QEMU 7.2 opens a memory file for writing even where it maps it
// privately. The others are the server's, which hands QEMU the open state.
import { constants } from 'node:fs'
import { chmod, mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseId } from '@ramet/core/ids.ts'
import type { MemoryImageId } from '@ramet/core/ids.ts'
import type { Driver, MachineConfig, MemoryImageFacts, MemoryImageRef, PoolRef } from '../driver.ts'
import type { Accelerator } from './options.ts'
import type { Installed } from './host.ts'
import { onFull, requirePool, syncFolder } from './layer-files.ts'
import { type Identity, give } from './privileges.ts'
import { isErrno, problems } from './problems.ts'
import { asMessage } from './json-socket.ts'
import { type MachineShape, misfit, processorOf } from './shape.ts'

export interface MemoryFiles {
  readonly ram: string
  readonly state: string
  readonly manifest: string
}

/** What is written beside an image. */
export interface MemoryManifest {
  readonly shape: MachineShape
  /** The guest's file systems were at rest, and are to be woken after the start. */
  readonly quiesced: boolean
  /** When the memory's file was last written: nobody may write it later. */
  readonly ramWritten: number
}

export function memoryFolder(pool: PoolRef): string {
  return join(pool.path, 'memory')
}

export function memoryFiles({ pool, id }: MemoryImageRef): MemoryFiles {
  const at = (kind: string) => join(memoryFolder(pool), `${id}.${kind}`)
  return { ram: at('ram'), state: at('state'), manifest: at('json') }
}

/** Two empty files to be filled. What an earlier try left is gone. */
export async function beginImage(image: MemoryImageRef, owner: Identity | null): Promise<MemoryFiles> {
  await requirePool(image.pool)
  await discardImage(image)
  const folder = memoryFolder(image.pool)
  await mkdir(folder, { recursive: true, mode: 0o711 })
  await chmod(folder, 0o711) // whatever the umask took away
  const files = memoryFiles(image)
  for (const [path, identity] of [[files.ram, owner] as const, [files.state, null] as const]) {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
    await give(file, identity).finally(() => file.close())
  }
  return files
}

/** From here on the image is whole, after any crash. The writer has put its files on the disk. */
export async function publishImage(
  image: MemoryImageRef,
  about: Omit<MemoryManifest, 'ramWritten'>,
): Promise<MemoryImageFacts> {
  const { ram, manifest } = memoryFiles(image)
  const part = `${manifest}.part`
  try {
    const file = await open(part, 'w', 0o600)
    try {
      await file.writeFile(JSON.stringify({ ...about, ramWritten: (await stat(ram)).mtimeMs }))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(part, manifest)
    await syncFolder(memoryFolder(image.pool))
  } catch (error) {
    throw onFull(image, error)
  }
  return factsOf(image, about.shape)
}

/** What the machine of the image was. A disk remembers nothing of its machine: where there is no image, what is `recorded`. */
export async function configIn(image: MemoryImageRef | null, recorded: MachineConfig): Promise<MachineConfig> {
  const shape = image && (await readManifest(image))?.shape
  return shape ? { cpus: shape.cpus, memoryMib: shape.memoryMib } : recorded
}

/** Null when there is no image, or half of one. */
export async function readManifest(image: MemoryImageRef): Promise<MemoryManifest | null> {
  try {
    // Written by the server into a folder of the server's.
    return asMessage(JSON.parse(await readFile(memoryFiles(image).manifest, 'utf8'))) as unknown as MemoryManifest
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

export async function requireManifest(image: MemoryImageRef): Promise<MemoryManifest> {
  const manifest = await readManifest(image)
  if (!manifest) throw problems.memoryImageMissing(image.id)
  return manifest
}

/** Why its memory is not what was saved; null when it is. */
export async function changed(image: MemoryImageRef, { ramWritten, shape }: MemoryManifest): Promise<string | null> {
  const files = memoryFiles(image)
  const [ram, state] = await Promise.all([files.ram, files.state].map(path => stat(path).catch(() => null)))
  if (!ram || !state) return 'The memory image is incomplete: a file of it is missing'
  const isSame = ram.mtimeMs === ramWritten && ram.size === shape.memoryMib * 2 ** 20
  return isSame ? null : 'The memory image was changed after it was made'
}

export async function readImageFacts(image: MemoryImageRef): Promise<MemoryImageFacts | null> {
  const manifest = await readManifest(image)
  return manifest && factsOf(image, manifest.shape)
}

async function factsOf(image: MemoryImageRef, shape: MachineShape): Promise<MemoryImageFacts> {
  const files = Object.values(memoryFiles(image)) as string[]
  const blocks = await Promise.all(files.map(async path => (await stat(path).catch(() => null))?.blocks ?? 0))
  return {
    memoryBytes: shape.memoryMib * 2 ** 20,
    allocatedBytes: blocks.reduce((sum, each) => sum + each, 0) * 512,
    hypervisorVersion: shape.qemu,
    machineType: shape.machineType,
    cpuModel: shape.processor,
    inHostMemory: false,
  }
}

/** The manifest first: an image without it is none. */
export async function discardImage(image: MemoryImageRef): Promise<void> {
  const { manifest, ram, state } = memoryFiles(image)
  for (const path of [manifest, `${manifest}.part`, state, ram]) await rm(path, { force: true })
  await syncFolder(memoryFolder(image.pool)).catch(unlessMissing)
}

export function qemuMemory(installed: Installed, accelerator: Accelerator): Driver['memory'] {
  const here = { qemu: installed.version, processor: processorOf(accelerator) }
  return {
    async facts(image) {
      await requirePool(image.pool)
      return readImageFacts(image)
    },
    async fits(image) {
      await requirePool(image.pool)
      const manifest = await readManifest(image)
      if (!manifest) return `There is no memory image ${image.id} any more`
      return misfit(manifest.shape, here) ?? (await changed(image, manifest))
    },
    async discard(image) {
      await requirePool(image.pool)
      await discardImage(image)
    },
    list: listImages,
  }
}

export async function listImages(pool: PoolRef): Promise<MemoryImageId[]> {
  await requirePool(pool)
  const names = await readdir(memoryFolder(pool)).catch((error: unknown) => (unlessMissing(error), []))
  const ids = names.map(name => parseId<'memory-image'>(name.split('.')[0] ?? ''))
  return [...new Set(ids.filter((id): id is MemoryImageId => id !== null))]
}

function unlessMissing(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error
}
