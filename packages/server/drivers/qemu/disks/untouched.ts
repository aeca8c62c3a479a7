// Whether a layer was ever written. A layer gets its first table for clusters of its own before any of them counts, and QEMU notes that in
// the topmost table at once: so one whose topmost table is empty shows exactly what it stands on, after any crash and any power failure.
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { LayerRef } from '../../driver.ts'
import { layerFile } from './layer-files.ts'
import { emptyTable } from './qcow2.ts'

const headerBytes = 512

/** False where that is not certain: a machine's own user may have written anything into the file. */
export async function isUntouched(layer: LayerRef): Promise<boolean> {
  const file = await open(layerFile(layer), constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const table = emptyTable(await read(file, 0, headerBytes))
    return table !== null && (await read(file, table.offset, table.bytes)).equals(Buffer.alloc(table.bytes))
  } finally {
    await file.close()
  }
}

async function read(file: FileHandle, offset: number, bytes: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, offset)
  return buffer.subarray(0, bytesRead)
}
