// A file that appears whole or not at all: it grows as `<file>.<random>.part`, and gets its name when all of it is on the disk.
// Each attempt has a part of its own, so that two at once, as after a server slept, do not write into each other's.
import { constants } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { access, type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'
import type { Check } from './checksum.ts'

export interface Limits {
  readonly maxBytes: number
  readonly allowPrivate: boolean
  /** How long a whole download may take: one that drips would never be silent. A day when absent. */
  readonly totalMs?: number
}

/**
 * Makes `file` from what `fill` writes, on top of what `begin` put there if it says so. When anything fails, no part is left,
 * and a file that was there before stays.
 */
export async function makeWhole(
  file: string,
  fill: (part: FileHandle) => Promise<void>,
  begin?: (path: string) => Promise<boolean>,
): Promise<void> {
  const part = `${file}.${randomUUID()}.part`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o711 })
    const begun = (await begin?.(part)) ?? false
    await writePart(part, begun, fill)
    await publish(part, file)
    await syncFolder(dirname(file))
  } catch (error) {
    await rm(part, { force: true }).catch(() => {}) // the first failure is the one to tell
    throw storeProblemOf(error, file)
  }
}

async function writePart(path: string, begun: boolean, fill: (part: FileHandle) => Promise<void>): Promise<void> {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const part = await open(path, O_RDWR | O_NOFOLLOW | (begun ? 0 : O_CREAT | O_EXCL), 0o644)
  try {
    await part.chmod(0o644) // whatever the umask: machines run as other users and read it
    await fill(part)
    await part.sync()
  } finally {
    await part.close()
  }
}

/** With the file there, the parts of all attempts are of no use; one that was slower finds the file in place of its part. */
async function publish(part: string, file: string): Promise<void> {
  try {
    await rename(part, file)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    await access(file)
  }
  await dropParts(file)
}

export async function removeWhole(file: string): Promise<void> {
  await rm(file, { force: true })
  await dropParts(file)
  await syncFolder(dirname(file))
}

async function dropParts(file: string): Promise<void> {
  const names = await readdir(dirname(file)).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  })
  const parts = names.filter(name => name.startsWith(`${basename(file)}.`) && name.endsWith('.part'))
  for (const name of parts) await rm(join(dirname(file), name), { force: true })
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
