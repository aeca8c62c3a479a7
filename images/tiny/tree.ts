// Puts together what the guest's file system and its initial RAM disk hold: busybox and its commands, a few programs with
// their libraries, kernel modules, and our own files from guest/.

import { chmod, copyFile, cp, lstat, mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { cpioOf } from './cpio.ts'
import { walk } from './files.ts'
import type { Kernel } from './kernel.ts'
import { find, type Libraries } from './libraries.ts'
import { run } from './run.ts'

/** Everything but busybox that comes from a package, and where its package keeps it. */
const programs = [
  { name: 'dropbear', in: ['usr/sbin'] },
  { name: 'dropbearkey', in: ['usr/bin'] },
  { name: 'qemu-ga', in: ['usr/sbin'] },
  { name: 'resize2fs', in: ['usr/sbin', 'sbin'] },
]

/** The guest's scripts rest on these; another distribution may build busybox without one. */
const neededCommands = [
  ...[
    'acpid',
    'awk',
    'base64',
    'findfs',
    'getty',
    'hwclock',
    'init',
    'ip',
    'login',
    'mkpasswd',
    'modprobe',
    'partprobe',
  ],
  ...['blockdev', 'sha256sum', 'switch_root', 'udhcpc', 'uevent'],
  ...['cmp', 'dmesg', 'killall'], // and what a server runs in it through the agent
]

const emptyDirectories = [
  'dev',
  'mnt',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'usr/bin',
  'usr/sbin',
  'usr/lib',
  'usr/lib64',
  'var',
]

export interface Ingredients {
  readonly packages: string
  readonly kernel: Kernel
  readonly libraries: Libraries
  readonly busybox: string
  readonly ours: string
}

export async function makeInitrd({ kernel, busybox, ours }: Ingredients, work: string): Promise<Buffer> {
  const tree = join(work, 'initrd')
  await skeleton(tree, busybox)
  await cp(kernel.rootModules, tree, { recursive: true })
  await copyFile(join(ours, 'initrd/init'), join(tree, 'init'))
  await setModes(tree)
  // The boot loader reads through the BIOS and copies byte by byte, so for an emulated processor fewer bytes are faster.
  return zstdCompressSync(await cpioOf(tree), { params: { [constants.ZSTD_c_compressionLevel]: 19 } })
}

export async function makeTree(from: Ingredients, initrd: Buffer, work: string): Promise<string> {
  const tree = join(work, 'root')
  await skeleton(tree, from.busybox)
  await cp(from.kernel.allModules, tree, { recursive: true })
  for (const program of programs) await addProgram(tree, from, program)
  await cp(join(from.ours, 'root'), tree, { recursive: true })
  await mkdir(join(tree, 'boot'))
  await copyFile(from.kernel.image, join(tree, 'boot/vmlinuz'))
  await writeFile(join(tree, 'boot/initrd'), initrd)
  await symlink('/proc/self/mounts', join(tree, 'etc/mtab'))
  await symlink('/run', join(tree, 'var/run'))
  await symlink('/run/resolv.conf', join(tree, 'etc/resolv.conf'))
  await setModes(tree)
  await chmod(join(tree, 'root'), 0o700)
  await chmod(join(tree, 'tmp'), 0o1777)
  await chmod(join(tree, 'etc/shadow'), 0o600)
  return tree
}

async function skeleton(tree: string, busybox: string): Promise<void> {
  for (const path of emptyDirectories) await mkdir(join(tree, path), { recursive: true })
  for (const path of ['bin', 'sbin', 'lib', 'lib64']) await symlink(`usr/${path}`, join(tree, path))
  await copyFile(busybox, join(tree, 'usr/bin/busybox'))
  const commands = (await run(busybox, ['--list-full']))
    .split('\n')
    .map(path => basename(path))
    .filter(Boolean)
  const lacking = neededCommands.filter(name => !commands.includes(name))
  if (lacking.length > 0) throw new Error(`This busybox lacks ${lacking.join(', ')}`)
  for (const name of commands) {
    if (name !== 'busybox') await symlink('busybox', join(tree, 'usr/bin', name))
  }
  // The kernel, init and the guest agent name these by their traditional path.
  for (const name of ['init', 'modprobe', 'hwclock', 'poweroff', 'reboot', 'halt'])
    await symlink('../bin/busybox', join(tree, 'usr/sbin', name))
}

async function addProgram(
  tree: string,
  { packages, libraries }: Ingredients,
  program: (typeof programs)[number],
): Promise<void> {
  const file = await find(packages, program.in, new RegExp(`^${program.name}$`))
  await copyFile(file, join(tree, 'usr/sbin', program.name))
  for (const library of await libraries.of(file)) {
    const directory = library === libraries.loader ? 'usr/lib64' : 'usr/lib'
    await copyFile(library, join(tree, directory, basename(library)))
  }
}

/** The builder's umask and his copy of our files must not show in the image: what can run may run, all else is plain. */
async function setModes(tree: string): Promise<void> {
  for (const path of await walk(tree)) {
    const file = join(tree, path)
    const stat = await lstat(file)
    if (stat.isDirectory()) await chmod(file, 0o755)
    else if (stat.isFile()) await chmod(file, (await canRun(file)) ? 0o755 : 0o644)
  }
}

async function canRun(path: string): Promise<boolean> {
  const file = await open(path)
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4).finally(() => file.close())
  return buffer.toString('latin1') === '\x7fELF' || buffer.toString('latin1', 0, 2) === '#!'
}

/** Everything the image is made from but the packages, for the cache's key. */
export async function recipeFiles(directory: string): Promise<{ path: string; bytes: Buffer }[]> {
  const paths = await walk(directory)
  const isRecipe = (path: string) => path.startsWith('guest/') || (path.endsWith('.ts') && !/^lab|\.test/.test(path))
  const files = []
  for (const path of paths.filter(isRecipe)) {
    const file = join(directory, path)
    if ((await lstat(file)).isFile()) files.push({ path, bytes: await readFile(file) })
  }
  return files
}
