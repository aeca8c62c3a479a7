// Boots with GRUB for BIOS, put in place by hand: boot.img in the first sector, the core image behind it. extlinux was the
// other choice, but its installer insists on a mounted file system, which takes root and a loop device.
//
// The core image holds just what reads a kernel from ext4, and its script is built in: no menu, so no timeout, no
// configuration file to parse, and no wait. It takes the disk that the BIOS booted from, so another disk with the same
// file system (a clone attached as a data disk) cannot be mistaken for it.
//
//   sector 0        boot.img (440 bytes) and the partition table
//   sectors 1-2047  core image; boot.img loads sector 1, which knows that the rest follows it
//   sector 2048 on  the root partition, up to the end of the disk, so that it can grow

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Libraries } from './libraries.ts'

export const sectorSize = 512
export const firstSector = 2048

/**
 * linux16 starts the kernel as a BIOS would. The newer `linux` first moves the room that the kernel will unpack into,
 * some 60 MB, byte by byte: with an emulated processor that alone takes three seconds.
 */
const grubModules = ['biosdisk', 'part_msdos', 'ext2', 'linux16']

/** Both consoles; the last one named also gets the output of init, and serial is there on every hypervisor we drive. */
const kernelArguments = 'quiet console=tty0 console=ttyS0,115200'

export async function coreImage(packages: string, work: string, libraries: Libraries, rootId: string): Promise<Buffer> {
  const script = join(work, 'grub.cfg')
  const core = join(work, 'core.img')
  const modules = join(packages, 'usr/lib/grub/i386-pc')
  await writeFile(script, `linux16 /boot/vmlinuz root=UUID=${rootId} ${kernelArguments}\ninitrd16 /boot/initrd\nboot\n`)
  // A prefix without a disk means the disk of the BIOS.
  const options = ['-O', 'i386-pc', '-d', modules, '-p', '(,msdos1)/boot/grub', '-c', script, '-o', core]
  await libraries.run(join(packages, 'usr/bin/grub-mkimage'), [...options, ...grubModules])
  return startOfDisk(await readFile(join(modules, 'boot.img')), await readFile(core))
}

/** The sectors before the partition, without the partition table. */
export function startOfDisk(boot: Buffer, core: Buffer): Buffer {
  const room = (firstSector - 1) * sectorSize
  if (core.length > room)
    throw new Error(`GRUB takes ${core.length} bytes, and only ${room} are free before the partition`)
  const start = Buffer.alloc(firstSector * sectorSize)
  boot.copy(start, 0, 0, 440)
  core.copy(start, sectorSize)
  return start
}

/** One active Linux partition, from `firstSector` to the end of the disk. */
export function writePartitionTable(start: Buffer, diskBytes: number, diskId: number): void {
  start.writeUInt32LE(diskId, 440)
  const entry = start.subarray(446, 462)
  const useSectorsInstead = [0xfe, 0xff, 0xff] // a cylinder/head/sector address too large to be written
  entry.set([0x80, ...useSectorsInstead, 0x83, ...useSectorsInstead])
  entry.writeUInt32LE(firstSector, 8)
  entry.writeUInt32LE(diskBytes / sectorSize - firstSector, 12)
  start.writeUInt16LE(0xaa55, 510)
}
