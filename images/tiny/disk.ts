// Makes the disk image: an ext4 file system filled from a directory by mke2fs itself, so there is nothing to mount.

import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { firstSector, sectorSize, writePartitionTable } from './boot-loader.ts'
import { walk } from './files.ts'
import { run } from './run.ts'

const offset = firstSector * sectorSize

/** Written out, because defaults differ between releases, and GRUB must be able to read the result. */
const features = [
  ...['none', 'has_journal', 'ext_attr', 'resize_inode', 'dir_index', 'filetype', 'extent', 'flex_bg', 'sparse_super'],
  ...['large_file', 'huge_file', 'dir_nlink', 'extra_isize', '64bit', 'metadata_csum'],
]

/** Lazy initialisation would have every clone write the same zeros in the background, into its own layer. */
const eager = 'lazy_itable_init=0,lazy_journal_init=0'

export interface Disk {
  readonly tree: string
  readonly start: Buffer
  readonly rootId: string
  readonly label: string
  /** Of the whole disk. Unused space costs nothing in a qcow2 file. */
  readonly diskMib: number
  readonly journalMib: number
}

export async function makeDisk(disk: Disk, work: string, target: string): Promise<void> {
  const { tree, start, rootId } = disk
  const diskBytes = disk.diskMib * 1024 * 1024
  const raw = join(work, 'disk.raw')
  writePartitionTable(start, diskBytes, Number.parseInt(rootId.slice(0, 8), 16))
  const file = await open(raw, 'w')
  await file.write(start)
  await file.truncate(diskBytes)
  await file.close()
  const options = [
    '-b',
    '4096',
    '-I',
    '256',
    '-m',
    '0',
    '-J',
    `size=${disk.journalMib}`,
    '-O',
    features.join(','),
    '-U',
    rootId,
    '-L',
    disk.label,
  ]
  const place = ['-E', `offset=${offset},root_owner=0:0,${eager}`, '-d', tree, raw, `${(diskBytes - offset) / 1024}k`]
  await run('mke2fs', ['-q', '-F', '-t', 'ext4', ...options, ...place])
  await giveToRoot(tree, `${raw}?offset=${offset}`, work)
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, target])
}

/** mke2fs copies the owner of each file, who is whoever runs the build. */
async function giveToRoot(tree: string, fileSystem: string, work: string): Promise<void> {
  if (process.getuid?.() === 0 && process.getgid?.() === 0) return
  const paths = (await walk(tree)).map(path => `/${path}`)
  const script = join(work, 'owners')
  const lines = paths.flatMap(path => [`set_inode_field "${path}" uid 0`, `set_inode_field "${path}" gid 0`])
  await writeFile(script, `${lines.join('\n')}\n`)
  await run('debugfs', ['-w', '-f', script, fileSystem])
}
