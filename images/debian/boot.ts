// Makes the tree boot by BIOS. `grub-install` and `update-grub` look at the disk under the file system, and while the image is
// made there is none; so their few files are put in place by hand. In a running machine both work as everywhere.

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startOfDisk } from '../tiny/boot-loader.ts'
import { run } from '../tiny/run.ts'

const kernelArguments = 'console=tty0 console=ttyS0,115200'

/** Debian keeps links to the newest kernel in the root directory. `update-grub` replaces this at the first kernel upgrade. */
const grubConfig = (rootId: string) => `set timeout=0
menuentry 'Debian GNU/Linux' {
  linux /vmlinuz root=UUID=${rootId} ro ${kernelArguments}
  initrd /initrd.img
}
`

const grubDefaults = `# Cloud images show the kernel's messages on the serial console too.
GRUB_TIMEOUT=0
GRUB_CMDLINE_LINUX="${kernelArguments}"
`

export async function writeBootFiles(tree: string, rootId: string): Promise<void> {
  const write = (path: string, text: string) => writeFile(join(tree, path), text)
  await write('etc/fstab', `UUID=${rootId} / ext4 rw,discard,errors=remount-ro 0 1\n`)
  await mkdir(join(tree, 'etc/default/grub.d'), { recursive: true })
  await write('etc/default/grub.d/10-cloud.cfg', grubDefaults)
  await run('cp', ['-r', join(tree, 'usr/lib/grub/i386-pc'), join(tree, 'boot/grub')])
  await write('boot/grub/grub.cfg', grubConfig(rootId))
}

/** The sectors before the partition. A prefix without a disk means the disk of the BIOS. */
export async function bootSectors(tree: string): Promise<Buffer> {
  const modules = '/boot/grub/i386-pc'
  const core = `${modules}/core.img`
  const needed = ['biosdisk', 'part_msdos', 'ext2']
  const options = ['-O', 'i386-pc', '-d', modules, '-p', '(,msdos1)/boot/grub', '-o', core]
  await run('chroot', [tree, 'grub-mkimage', ...options, ...needed])
  return startOfDisk(await readFile(join(tree, modules, 'boot.img')), await readFile(join(tree, core)))
}
