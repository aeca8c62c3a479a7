// Memory images by the name that the server has for them, wherever they lie: on their pool, or in the host's memory.
import type { MemoryImageId } from '@ramet/core/ids.ts'
import type { Driver, MachineConfig, MemoryImageRef, PoolRef } from '../../driver.ts'
import type { Installed } from '../host.ts'
import { requirePool } from '../disks/layer-files.ts'
import * as files from './memory-files.ts'
import type { ImageAt } from './memory-files.ts'
import type { Accelerator } from '../options.ts'
import { dropRamDirectory } from './ram.ts'
import { misfit, processorOf } from '../machines/shape.ts'

export class MemoryImages {
  readonly directory: string
  readonly #here: { readonly qemu: string; readonly processor: string }

  /** `directory`: where the memory of running machines is. */
  constructor(directory: string, installed: Installed, accelerator: Accelerator) {
    this.directory = directory
    this.#here = { qemu: installed.version, processor: processorOf(accelerator) }
  }

  get calls(): Driver['memory'] {
    return {
      facts: async image => {
        await requirePool(image.pool)
        return files.readImageFacts(await this.find(image))
      },
      fits: async image => {
        await requirePool(image.pool)
        const at = await this.find(image)
        const manifest = await files.readManifest(at)
        if (!manifest) return `There is no memory image ${image.id} any more`
        return misfit(manifest.shape, this.#here) ?? (await files.changed(at, manifest))
      },
      discard: async image => {
        await requirePool(image.pool)
        await files.discardImage(files.onPool(image))
        await this.discardInHost(image)
      },
      list: pool => listImages(pool, this.directory),
    }
  }

  /** Where it is; on its pool, where it is nowhere. */
  async find(image: MemoryImageRef): Promise<ImageAt> {
    const inHost = this.inHost(image)
    return (await files.readManifest(inHost)) && !(await files.readManifest(files.onPool(image)))
      ? inHost
      : files.onPool(image)
  }

  inHost(image: MemoryImageRef): ImageAt {
    return files.inHostMemory(image, this.directory)
  }

  async discardInHost(image: MemoryImageRef): Promise<void> {
    const at = this.inHost(image)
    await files.discardImage(at)
    await dropRamDirectory(this.directory, at.folder)
  }

  async configIn(image: MemoryImageRef | null, recorded: MachineConfig): Promise<MachineConfig> {
    return files.configIn(image && (await this.find(image)), recorded)
  }
}

export async function listImages(pool: PoolRef, directory: string): Promise<MemoryImageId[]> {
  await requirePool(pool)
  const inHost = files.inHostMemory({ pool, id: '' as MemoryImageId }, directory).folder
  const ids = await Promise.all([files.memoryFolder(pool), inHost].map(folder => files.listImages(folder)))
  return [...new Set(ids.flat())]
}
