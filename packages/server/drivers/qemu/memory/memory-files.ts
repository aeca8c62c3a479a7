// Memory images as files: `<id>.ram`, the guest's memory, with holes where it is zero; `.state`, the state of the devices as QEMU's
// incoming migration reads it; `.json`, what both fit. The last is written when all else is on the disk, so an image with it is whole.
// They lie in `<pool>/memory/`, or, in the host's memory, beside the memory of running machines. The first belongs to the account: QEMU 7.2 opens a memory file for writing even where it maps it
// privately. The others are the server's, which hands QEMU the open state.
import { constants } from 'node:fs'
import { chmod, link, mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseId } from '@ramet/core/ids.ts'
import type { MemoryImageId } from '@ramet/core/ids.ts'
import type { MachineConfig, MemoryImageFacts, MemoryImageRef, PoolRef } from '../../driver.ts'
import { onFull, requirePool, syncFolder } from '../disks/layer-files.ts'
import { type Identity, give } from '../process/privileges.ts'
import { isErrno, problems } from '../problems.ts'
import { asMessage } from '../process/json-socket.ts'
import { demandHostMemory, inRamDirectory } from './ram.ts'
import type { MachineShape } from '../machines/shape.ts'

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

/** An image, and the folder that its files are in, or shall be. */
export interface ImageAt extends MemoryImageRef {
  readonly folder: string
  readonly inHostMemory: boolean
}

export function memoryFolder(pool: PoolRef): string {
  return join(pool.path, 'memory')
}

export function onPool(image: MemoryImageRef): ImageAt {
  return { ...image, folder: memoryFolder(image.pool), inHostMemory: false }
}

/** `directory`: where the memory of running machines is. */
export function inHostMemory(image: MemoryImageRef, directory: string): ImageAt {
  return { ...image, folder: join(directory, image.pool.id), inHostMemory: true }
}

export function memoryFiles({ folder, id }: Pick<ImageAt, 'folder' | 'id'>): MemoryFiles {
  const at = (kind: string) => join(folder, `${id}.${kind}`)
  return { ram: at('ram'), state: at('state'), manifest: at('json') }
}

/** Two empty files to be filled. What an earlier try left is gone. In the host's memory, all that it may come to take is promised to it. */
export function beginImage(image: ImageAt, memoryMib: number, owner: Identity | null): Promise<MemoryFiles> {
  return begin(image, async files => {
    if (image.inHostMemory) await demandHostMemory(dirname(image.folder), memoryMib)
    await makeFile(files.ram, memoryMib * 2 ** 20, owner)
    await makeFile(files.state, 0, null)
  })
}

async function makeFile(path: string, bytes: number, owner: Identity | null): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  try {
    await file.truncate(bytes)
    await give(file, owner)
  } finally {
    await file.close()
  }
}

/** The memory of a machine becomes that of an image, under another name: nothing is copied. */
export function beginImageOf(image: ImageAt, ram: string): Promise<MemoryFiles> {
  return begin(image, files => link(ram, files.ram))
}

async function begin(image: ImageAt, make: (files: MemoryFiles) => Promise<void>): Promise<MemoryFiles> {
  await requirePool(image.pool)
  const files = memoryFiles(image)
  const act = async () => {
    await discardImage(image)
    await mkdir(image.folder, { recursive: true, mode: 0o711 })
    await chmod(image.folder, 0o711) // whatever the umask took away
    await make(files)
  }
  await (image.inHostMemory ? inRamDirectory(dirname(image.folder), act) : act())
  return files
}

/** From here on the image is whole, after any crash. The writer has put its files on the disk. */
export async function publishImage(
  image: ImageAt,
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
    await syncFolder(image.folder)
  } catch (error) {
    throw onFull(image, error)
  }
  return factsOf(image, about.shape)
}

/** What the machine of the image was. A disk remembers nothing of its machine: where there is no image, what is `recorded`. */
export async function configIn(image: ImageAt | null, recorded: MachineConfig): Promise<MachineConfig> {
  const shape = image && (await readManifest(image))?.shape
  return shape ? { cpus: shape.cpus, memoryMib: shape.memoryMib } : recorded
}

/** Null when there is no image, or half of one. */
export async function readManifest(image: ImageAt): Promise<MemoryManifest | null> {
  try {
    // Written by the server into a folder of the server's.
    return asMessage(JSON.parse(await readFile(memoryFiles(image).manifest, 'utf8'))) as unknown as MemoryManifest
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

export async function requireManifest(image: ImageAt): Promise<MemoryManifest> {
  const manifest = await readManifest(image)
  if (!manifest) throw problems.memoryImageMissing(image.id)
  return manifest
}

/** Why its memory is not what was saved; null when it is. */
export async function changed(image: ImageAt, { ramWritten, shape }: MemoryManifest): Promise<string | null> {
  const files = memoryFiles(image)
  const [ram, state] = await Promise.all([files.ram, files.state].map(path => stat(path).catch(() => null)))
  if (!ram || !state) return 'The memory image is incomplete: a file of it is missing'
  const isSame = ram.mtimeMs === ramWritten && ram.size === shape.memoryMib * 2 ** 20
  return isSame ? null : 'The memory image was changed after it was made'
}

export async function readImageFacts(image: ImageAt): Promise<MemoryImageFacts | null> {
  const manifest = await readManifest(image)
  return manifest && factsOf(image, manifest.shape)
}

async function factsOf(image: ImageAt, shape: MachineShape): Promise<MemoryImageFacts> {
  const files = Object.values(memoryFiles(image)) as string[]
  const blocks = await Promise.all(files.map(async path => (await stat(path).catch(() => null))?.blocks ?? 0))
  return {
    memoryBytes: shape.memoryMib * 2 ** 20,
    allocatedBytes: blocks.reduce((sum, each) => sum + each, 0) * 512,
    hypervisorVersion: shape.qemu,
    machineType: shape.machineType,
    cpuModel: shape.processor,
    inHostMemory: image.inHostMemory,
  }
}

/** The manifest first: an image without it is none. */
export async function discardImage(image: ImageAt): Promise<void> {
  const { manifest, ram, state } = memoryFiles(image)
  for (const path of [manifest, `${manifest}.part`, state, ram]) await rm(path, { force: true })
  await syncFolder(image.folder).catch(unlessMissing)
}

export async function listImages(folder: string): Promise<MemoryImageId[]> {
  const names = await readdir(folder).catch((error: unknown) => (unlessMissing(error), []))
  const ids = names.map(name => parseId<'memory-image'>(name.split('.')[0] ?? ''))
  return [...new Set(ids.filter((id): id is MemoryImageId => id !== null))]
}

function unlessMissing(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error
}
