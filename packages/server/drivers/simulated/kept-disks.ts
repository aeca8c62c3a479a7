// Disks of a simulated vCenter's machines. Each is a chain of files, of which only the last is written: a snapshot leaves that one as it
// is and puts another upon it, and a linked clone stands on files of another machine.
import type { DiskFacts } from '../forest.ts'
import type { Blocks } from './world.ts'

export interface KeptDisk {
  readonly deviceId: number
  readonly virtualBytes: number
  /** What it stands on first; the last is written. */
  readonly files: readonly string[]
  /** What its guest sees, by block. */
  readonly blocks: Blocks
}

/** Whose files they are: those in its folder. */
export interface DiskOwner {
  readonly vcenter: string
  readonly name: string
}

/** Files of the owner's that hold what was written; those of others it only stands on. */
export function ownFiles(owner: DiskOwner, disks: readonly KeptDisk[]): Set<string> {
  return new Set(disks.flatMap(({ files }) => files.filter(file => file.startsWith(folderOf(owner)))))
}

/** The disk on a file of its own alone: a copy. */
export function copied(owner: DiskOwner, disk: KeptDisk): KeptDisk {
  return { ...disk, files: [fileOf(owner, disk, 0)] }
}

/** A file of the owner's on the disk's; `taken` are the disks that it has already. */
export function stackedOn(owner: DiskOwner, disk: KeptDisk, taken: readonly KeptDisk[] = []): KeptDisk {
  const names = ownFiles(owner, taken)
  let number = 1
  while (names.has(fileOf(owner, disk, number))) number++
  return { ...disk, files: [...disk.files, fileOf(owner, disk, number)] }
}

/** The disk without the files of others, as if they had been copied into its own. */
export function flattened(owner: DiskOwner, disk: KeptDisk): KeptDisk {
  const own = disk.files.filter(file => file.startsWith(folderOf(owner)))
  return { ...disk, files: own.length > 0 ? own : disk.files }
}

/** The disks after the file has taken what the one upon it holds, which goes; where several stand on it, all stay. */
export function mergedAway(file: string, disks: readonly KeptDisk[]): (disk: KeptDisk) => KeptDisk {
  const standing = new Set(
    disks.flatMap(({ files }) => (files.includes(file) ? (files[files.indexOf(file) + 1] ?? []) : [])),
  )
  const [above, ...more] = standing
  return disk => (more.length > 0 ? disk : { ...disk, files: disk.files.filter(each => each !== above) })
}

const bytesOfBlock = 4096

export function diskFacts({ deviceId, virtualBytes, files, blocks }: KeptDisk): DiskFacts {
  return {
    key: String(2000 + deviceId),
    deviceId,
    virtualBytes,
    allocatedBytes: files.length === 1 ? virtualBytes / 16 : Object.keys(blocks).length * bytesOfBlock,
    depth: files.length,
    files,
  }
}

function folderOf({ vcenter, name }: DiskOwner): string {
  return `[${vcenter}] ${name}/`
}

function fileOf(owner: DiskOwner, { deviceId }: KeptDisk, number: number): string {
  const numbered = number === 0 ? '' : `-${String(number).padStart(6, '0')}`
  return `${folderOf(owner)}${owner.name}_${deviceId}${numbered}.vmdk`
}
