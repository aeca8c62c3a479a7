// The kernel is the distribution's standard one. It is built with VMGENID, so that it draws new randomness when a machine
// is cloned; Debian's smaller cloud kernel is not, and its clones would hand out the same keys and UUIDs.
//
// Of some 4000 modules we keep what a virtual machine meets, with the modules those need.

import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { walk } from './files.ts'
import { run } from './run.ts'

/** Debian, then Ubuntu. The meta package names the concrete version. */
export const kernelPackages = ['linux-image-amd64', 'linux-image-virtual', 'linux-image-generic'] as const

/** What it takes to reach a root file system: on QEMU, and for the same disk on vSphere and Hyper-V. */
const rootModules = [
  ...[
    'virtio_pci',
    'virtio_blk',
    'virtio_scsi',
    'sd_mod',
    'ahci',
    'ata_piix',
    'nvme',
    'mptspi',
    'vmw_pvscsi',
    'hv_storvsc',
  ],
  ...['ext4', 'crc32c_generic', 'crc32c_intel'],
  ...['virtio_net', 'net_failover', 'virtio_console'],
]

/** What a running machine uses besides: seed volumes, other network cards, the power button, a keyboard. */
const laterModules = [
  ...['sr_mod', 'isofs', 'vfat', 'nls_cp437', 'nls_ascii', 'nls_iso8859_1', 'nls_utf8'],
  ...[
    'e1000',
    'e1000e',
    'vmxnet3',
    'hv_netvsc',
    'hv_utils',
    'virtio_balloon',
    'virtio_rng',
    'button',
    'evdev',
    'atkbd',
    'i8042',
  ],
]

/** Without these nothing works; the others may be built in or missing in a given kernel. */
const indispensable = ['virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_console', 'ext4', 'isofs', 'vfat']

export interface Kernel {
  readonly version: string
  readonly image: string
  /** Directories that hold `lib/modules/<version>`, ready to be copied. */
  readonly rootModules: string
  readonly allModules: string
}

export async function prepareKernel(packages: string, work: string, busybox: string): Promise<Kernel> {
  const vmlinuz = (await readdir(join(packages, 'boot'))).find(name => name.startsWith('vmlinuz-'))
  if (!vmlinuz) throw new Error('The kernel package holds no vmlinuz')
  const version = vmlinuz.slice('vmlinuz-'.length)
  const source = await openModules(packages, version, busybox)
  const gather = async (name: string, wanted: readonly string[]) => {
    const target = join(work, name)
    await source.copyTo(join(target, 'usr/lib/modules', version), wanted)
    await run(busybox, ['depmod', '-b', join(target, 'usr'), version])
    return target
  }
  return {
    version,
    image: join(packages, 'boot', vmlinuz),
    rootModules: await gather('root-modules', rootModules),
    allModules: await gather('all-modules', [...rootModules, ...laterModules]),
  }
}

async function openModules(packages: string, version: string, busybox: string) {
  const directory = await firstWith(['lib/modules', 'usr/lib/modules'].map(path => join(packages, path, version)))
  const files = new Map<string, string>()
  for (const path of await walk(directory)) {
    const [, name] = /([^/]+)\.ko(?:\.xz|\.zst)?$/.exec(path) ?? []
    if (name) files.set(moduleName(name), path)
  }
  const builtIn = new Set((await readFile(join(directory, 'modules.builtin'), 'utf8')).split('\n').map(moduleName))

  /** Stored unpacked: the guest would pay for the unpacking at every boot. */
  async function read(path: string): Promise<Buffer> {
    if (path.endsWith('.xz'))
      return Buffer.from(await run(busybox, ['sh', '-c', 'xzcat "$0" | base64', join(directory, path)]), 'base64')
    const bytes = await readFile(join(directory, path))
    return path.endsWith('.zst') ? zstdDecompressSync(bytes) : bytes
  }

  return {
    async copyTo(target: string, wanted: readonly string[]) {
      const queue = new Set(wanted)
      for (const name of queue) {
        const path = files.get(name)
        if (!path) {
          if (indispensable.includes(name) && !builtIn.has(name))
            throw new Error(`Kernel ${version} has no module ${name}`)
          continue
        }
        const bytes = await read(path)
        for (const needed of moduleNeeds(bytes)) queue.add(needed)
        await mkdir(dirname(join(target, path)), { recursive: true })
        await writeFile(join(target, path.replace(/\.ko\.\w+$/, '.ko')), bytes)
      }
      // Lets modprobe tell "built in" from "missing".
      await copyFile(join(directory, 'modules.builtin'), join(target, 'modules.builtin'))
    },
  }
}

const moduleName = (path: string) => basename(path, '.ko').replaceAll('-', '_')

/** A module carries its own list of needs, as NUL-terminated text in its .modinfo section. */
export function moduleNeeds(module: Buffer): string[] {
  const start = module.indexOf('\0depends=')
  if (start < 0) return []
  const list = module.subarray(start + '\0depends='.length, module.indexOf('\0', start + 1)).toString()
  return list.split(',').filter(Boolean).map(moduleName)
}

async function firstWith(directories: readonly string[]): Promise<string> {
  for (const directory of directories) {
    const entries = await readdir(directory).catch((): string[] => [])
    if (entries.includes('kernel')) return directory
  }
  throw new Error(`No kernel modules in ${directories.join(' or ')}`)
}
