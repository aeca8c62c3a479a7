// VMDK is a family: only some members are one file that names no other. The description embedded in a sparse file may name
// a parent or further extents, and QEMU would open them (block/vmdk.c, vmdk_open_desc_file).
// https://www.vmware.com/support/developer/vddk/vmdk_50_technote.pdf
import type { FileHandle } from 'node:fs/promises'
import { problems } from '../problems.ts'

const singleFileTypes = ['monolithicSparse', 'streamOptimized']

export async function refuseVmdk(file: FileHandle, start: Buffer): Promise<void> {
  const descriptor = await readDescriptor(file, start)
  const type = /^\s*createType\s*=\s*"([^"]*)"/im.exec(descriptor)?.[1] ?? 'unknown'
  const extents = descriptor.match(/^\s*(RW|RDONLY|NOACCESS)\s+\d+\s+\S+/gim) ?? []
  if (!singleFileTypes.includes(type) || extents.length !== 1) throw notOneFile(type)
  const parent = /^\s*parentCID\s*=\s*([0-9a-f]+)/im.exec(descriptor)?.[1]
  if ((parent && Number.parseInt(parent, 16) !== 0xffffffff) || /^\s*parentFileNameHint/im.test(descriptor))
    throw problems.image(
      'image-has-backing-file',
      'The VMDK stands on a parent disk; flatten it first: qemu-img convert -O qcow2 IN OUT',
    )
}

/** Fields of the sparse extent header: capacity at 12, descriptor's sector and length at 28 and 36, little-endian. */
async function readDescriptor(file: FileHandle, start: Buffer): Promise<string> {
  const [capacity, sector, sectors] = [12, 28, 36].map(offset => start.readBigUInt64LE(offset))
  if (start.toString('latin1', 0, 4) !== 'KDMV' || !capacity || !sector || !sectors || sectors > 128n)
    throw notOneFile('unknown')
  const bytes = Buffer.alloc(Number(sectors) * 512)
  await file.read(bytes, 0, bytes.length, Number(sector) * 512)
  return bytes.toString('latin1').replaceAll('\0', '')
}

function notOneFile(type: string) {
  return problems.image(
    'image-has-data-file',
    `The VMDK has type ${type.slice(0, 40)}, which may use other files; export it as streamOptimized or convert it: qemu-img convert -O qcow2 IN OUT`,
  )
}
