// Judges an image file from a stranger before it becomes a template. First what the header says, read by ourselves and
// without following anything; then `qemu-img info` and `check` under least privilege; and each refusal says a way out.
import type { FileHandle } from 'node:fs/promises'
import type { ImageFacts } from '../../driver.ts'
import { inspectIso } from './iso-image.ts'
import { kindNames, kindOf } from './magic.ts'
import type { Privileges } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { incompatibleBits, readHeader } from './qcow2.ts'
import { imageAsFilename, imageInfo, inspectionLimits, openForStranger, reason } from '../process/strangers.ts'
import { runTool } from '../process/tools.ts'
import type { ToolRun } from '../process/tools.ts'
import { refuseVmdk } from './vmdk.ts'

type Format = ImageFacts['format']

const inspectionLimitMs = 60_000

export async function inspect(
  path: string,
  expected: Format,
  maxVirtualBytes: number,
  { stranger }: Privileges,
): Promise<ImageFacts> {
  const file = await openForStranger(path, stranger)
  try {
    const { size, blocks } = await file.stat()
    if (expected === 'iso') {
      const virtualBytes = await inspectIso(file, size)
      refuseSize(virtualBytes, maxVirtualBytes)
      return { format: expected, virtualBytes, allocatedBytes: blocks * 512 }
    }
    const start = await readStart(file)
    refuseFormat(start, size, expected)
    if (expected === 'qcow2') refuseQcow2(start, size)
    if (expected === 'vmdk') await refuseVmdk(file, start)
    const run = { identity: stranger, file: file.fd, limits: inspectionLimits, timeoutMs: inspectionLimitMs }
    const virtualBytes = await readVirtualBytes(expected, run)
    refuseSize(virtualBytes, maxVirtualBytes)
    if (expected !== 'raw') await refuseDamage(expected, run)
    return { format: expected, virtualBytes, allocatedBytes: blocks * 512 }
  } finally {
    await file.close()
  }
}

async function readStart(file: FileHandle): Promise<Buffer> {
  const start = Buffer.alloc(4096)
  await file.read(start, 0, start.length, 0)
  return start
}

function refuseFormat(start: Buffer, size: number, expected: Format): void {
  if (size < 512) throw problems.image('image-empty', `The file has ${size} bytes; a disk has at least 512`)
  const kind = kindOf(start)
  if (kind === expected) return
  if (kind === 'luks') throw encrypted()
  if (kind === 'vmdk-descriptor' && expected === 'vmdk')
    throw problems.image(
      'image-has-data-file',
      'The VMDK file only describes a disk that lies in other files; convert it to one file: qemu-img convert -O qcow2 IN.vmdk OUT.qcow2',
    )
  const wayOut =
    kind === 'qcow2' || kind === 'vmdk' || kind === 'vhdx'
      ? `register it with format ${kind}`
      : 'unpack or convert it to qcow2 first'
  throw problems.image('image-wrong-format', `The file is ${kindNames[kind]}, not ${expected} as said; ${wayOut}`)
}

function encrypted() {
  return problems.image('image-encrypted', 'The image is encrypted, and nobody could start it; register it decrypted')
}

function onAnotherFile() {
  return problems.image(
    'image-has-backing-file',
    'The image stands on another file; flatten it first: qemu-img convert -O qcow2 IN OUT',
  )
}

function refuseQcow2(start: Buffer, size: number): void {
  const header = readHeader(start)
  if (!header || header.version > 3) throw problems.image('image-damaged', 'The qcow2 header has an unknown version')
  const { incompatible } = header
  if (header.hasBackingFile) throw onAnotherFile()
  if (incompatible & incompatibleBits.dataFile)
    throw problems.image(
      'image-has-data-file',
      'The image keeps its data in another file; put it into one: qemu-img convert -O qcow2 IN OUT',
    )
  if (header.encrypted) throw encrypted()
  if (incompatible & (incompatibleBits.dirty | incompatibleBits.corrupt))
    throw problems.image(
      'image-damaged',
      'The image was not closed properly; repair it first: qemu-img check -r all FILE',
    )
  if (incompatible >= incompatibleBits.extendedL2 * 2n)
    throw problems.image('image-unsupported', 'The image uses qcow2 features that are not known here')
  if (header.tables.some(([offset, length]) => offset + length > BigInt(size)))
    throw problems.image(
      'image-truncated',
      `The image is cut off: its tables lie beyond the file's ${size} bytes; transfer it again`,
    )
}

function refuseSize(virtualBytes: number, maxVirtualBytes: number): void {
  if (virtualBytes <= maxVirtualBytes) return
  const gib = (bytes: number) => `${Math.ceil(bytes / 2 ** 30)} GiB`
  throw problems.image(
    'image-too-large',
    `The image is a disk of ${gib(virtualBytes)}, and at most ${gib(maxVirtualBytes)} are allowed (setting max.template.iso.size)`,
  )
}

async function readVirtualBytes(format: Format, run: ToolRun): Promise<number> {
  const { virtualBytes, encrypted: isEncrypted, hasBackingFile } = await imageInfo(format, run)
  if (isEncrypted) throw encrypted()
  if (hasBackingFile) throw onAnotherFile()
  return virtualBytes
}

/** 0 sound, 3 only leaked space, 63 no check for this format, 1 and 2 damage (qemu-img(1), "check"). */
async function refuseDamage(format: Format, run: ToolRun): Promise<void> {
  const { code, stderr } = await runTool('qemu-img', ['check', '-q', imageAsFilename(format)], run)
  if (code === 0 || code === 3 || code === 63) return
  throw problems.image(
    'image-damaged',
    `The image is damaged or cut off${reason(stderr)}; transfer it again or repair it: qemu-img check -r all FILE`,
  )
}
