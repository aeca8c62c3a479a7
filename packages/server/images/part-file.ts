// A file that appears whole or not at all: it grows as `<file>.part`, and gets its name when all of it is on the disk.
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'
import type { Check } from './checksum.ts'

export interface Limits {
  readonly maxBytes: number
  readonly allowPrivate: boolean
}

function partOf(file: string): string {
  return `${file}.part`
}

/**
 * Makes `file` from what `fill` writes, on top of what `begin` may have put there. When anything fails, neither the file
 * nor its part is left.
 */
export async function makeWhole(
  file: string,
  fill: (part: FileHandle) => Promise<void>,
  begin?: (path: string) => Promise<void>,
): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o711 })
    await rm(partOf(file), { force: true })
    await begin?.(partOf(file))
    await writePart(partOf(file), fill)
    await rename(partOf(file), file)
    await syncFolder(dirname(file))
  } catch (error) {
    await removeWhole(file).catch(() => {}) // the first failure is the one to tell
    throw storeProblemOf(error, file)
  }
}

async function writePart(path: string, fill: (part: FileHandle) => Promise<void>): Promise<void> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
  const part = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644)
  try {
    await part.chmod(0o644) // whatever the umask: machines run as other users and read it
    await fill(part)
    await part.sync()
  } finally {
    await part.close()
  }
}

export async function removeWhole(file: string): Promise<void> {
  await rm(file, { force: true })
  await rm(partOf(file), { force: true })
  await syncFolder(dirname(file))
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null // nothing in it, then
    throw error
  })
  try {
    await handle?.sync()
  } finally {
    await handle?.close()
  }
}

const zeros = Buffer.alloc(1 << 20)

/** Writes `chunks` one after the other, but no more than `maxBytes`; zeros become holes, which raw images are full of. */
export async function pour(
  chunks: AsyncIterable<Buffer>,
  part: FileHandle,
  maxBytes: number,
  check: Check,
  wrote: (bytes: number) => void,
): Promise<void> {
  let end = 0
  for await (const chunk of chunks) {
    if (end + chunk.length > maxBytes) throw tooLarge(maxBytes)
    check.update(chunk)
    if (!isZero(chunk)) await writeAll(part, chunk, end)
    end += chunk.length
    wrote(end)
  }
  await part.truncate(end)
}

function isZero(chunk: Buffer): boolean {
  return chunk.length <= zeros.length && chunk.equals(zeros.subarray(0, chunk.length))
}

/** A write may stop short, for one at the edge of a full disk. */
async function writeAll(part: FileHandle, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await part.write(chunk, done, chunk.length - done, position + done)).bytesWritten
  }
}

export function tooLarge(maxBytes: number): Problem {
  const most = maxBytes >= 2 ** 30 ? `${Math.floor(maxBytes / 2 ** 30)} GiB` : `${maxBytes} bytes`
  const text = `The image is larger than ${most}, the limit for templates; the setting max.template.iso.size sets it`
  return new Problem('invalid', 'download-too-large', text)
}

function storeProblemOf(error: unknown, file: string): unknown {
  if (!['ENOSPC', 'EDQUOT'].includes(codeOf(error))) return error
  const text = `There is no room left for the image in ${dirname(file)}; free some, or add a secondary storage`
  return new Problem('no-capacity', 'store-full', text, { cause: error })
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
