// Judges a CD image from a stranger. It stays what it is, raw bytes that a guest reads, and no program of the host looks into it;
// so what matters is that it is one, and that all of it is there. ECMA-119 (ISO 9660) and ECMA-167 (UDF) say where to look.
import type { FileHandle } from 'node:fs/promises'
import { kindNames, kindOf } from './magic.ts'
import { problems } from '../problems.ts'

const sectorBytes = 2048
/** The first sixteen sectors are the system's: boot code, partition tables of images that also serve as disks. */
const firstDescriptor = 16
const mostDescriptors = 64

/** The bytes of the CD, or a Problem that says why the file is none. */
export async function inspectIso(file: FileHandle, size: number): Promise<number> {
  const claimed = await claimedBytes(file)
  if (claimed === null)
    throw problems.image('image-wrong-format', `The file is ${await nameOf(file)}, not a CD image (ISO 9660 or UDF)`)
  if (claimed > size)
    throw problems.image(
      'image-truncated',
      `The CD image is cut off: it says that it has ${claimed} bytes, and the file has ${size}; transfer it again`,
    )
  return size
}

/** How large the volume says that it is; at least its descriptors; null when there are none. */
async function claimedBytes(file: FileHandle): Promise<number | null> {
  let claimed: number | null = null
  for (let sector = firstDescriptor; sector < firstDescriptor + mostDescriptors; sector += 1) {
    const bytes = await readSector(file, sector)
    const mark = bytes.toString('latin1', 1, 6)
    if (!/^(CD001|BEA01|NSR0[23]|TEA01|BOOT2)$/.test(mark)) break
    const [kind] = bytes
    const ends = (sector + 1) * sectorBytes
    // Both byte orders are there (ECMA-119, 7.3.3); the size of a block is 2048 nearly always.
    const volume = mark === 'CD001' && kind === 1 ? bytes.readUInt32LE(80) * bytes.readUInt16LE(128) : 0
    claimed = Math.max(claimed ?? 0, ends, volume)
  }
  return claimed
}

async function readSector(file: FileHandle, sector: number): Promise<Buffer> {
  const { buffer } = await file.read(Buffer.alloc(sectorBytes), 0, sectorBytes, sector * sectorBytes)
  return buffer
}

async function nameOf(file: FileHandle): Promise<string> {
  const { buffer } = await file.read(Buffer.alloc(4096), 0, 4096, 0)
  return kindNames[kindOf(buffer)]
}
