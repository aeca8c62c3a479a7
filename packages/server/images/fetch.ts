// Brings the image of a template to secondary storage: from a URL, or from a file of this machine. Each may be repeated:
// it starts over and replaces what it made. Nothing is unpacked here; what the image really is, the driver finds out.
import { constants } from 'node:fs'
import { copyFile, type FileHandle, open } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import { Problem } from '@ramet/core/problem.ts'
import { openCheck } from './checksum.ts'
import { acceptUrl, downloadProblem, openDownload } from './download.ts'
import { type Limits, makeWhole, pour, removeWhole, tooLarge } from './part-file.ts'

/** Downloads `url` to `file`. `progress` hears whole percents, where the other side says how much there is. */
export async function fetchImage(
  url: string,
  file: string,
  checksum: string | null,
  limits: Limits,
  progress: (percent: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const check = openCheck(checksum)
  const { totalMs = dayMs } = limits
  const late = AbortSignal.timeout(totalMs)
  const either = AbortSignal.any([signal, late])
  await makeWhole(file, async part => {
    const response = await openDownload(url, limits, either)
    try {
      const total = Number(response.headers['content-length'] ?? 0)
      if (total > limits.maxBytes) throw tooLarge(limits.maxBytes)
      await pour(bodyOf(response, url, either), part, limits.maxBytes, check, percentOf(total, progress))
    } finally {
      response.destroy()
    }
    check.conclude()
  }).catch((error: unknown) => {
    if (late.aborted && !signal.aborted) throw tooSlow(url, totalMs)
    throw error
  })
}

const dayMs = 24 * 3600 * 1000

function tooSlow(url: string, totalMs: number): Problem {
  const { origin, pathname } = new URL(url) // what follows may be a secret
  const text = `${origin}${pathname} did not arrive whole within ${totalMs / 1000} s; offer the image nearer by`
  return new Problem('invalid', 'download-failed', text)
}

/** Only what goes wrong on the line is a failed download; a full disk of ours speaks for itself. */
async function* bodyOf(response: IncomingMessage, url: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    const chunks: AsyncIterable<Buffer> = response
    yield* chunks
  } catch (error) {
    throw downloadProblem(acceptUrl(url), error, signal)
  }
}

function percentOf(total: number, progress: (percent: number) => void): (bytes: number) => void {
  let told = -1
  return bytes => {
    const percent = total > 0 ? Math.floor((bytes * 100) / total) : told
    if (percent !== told) progress((told = percent))
  }
}

/** Copies the file that `fileUrl` names; where the file system can, the copy shares the original's blocks. */
export async function copyImage(
  fileUrl: string,
  file: string,
  checksum: string | null,
  limits: Limits,
  signal: AbortSignal,
): Promise<void> {
  const check = openCheck(checksum)
  const source = await openRegular(pathOf(fileUrl))
  try {
    if ((await source.stat()).size > limits.maxBytes) throw tooLarge(limits.maxBytes)
    let isShared = false
    const begin = async (path: string) => (isShared = await shareBlocks(source, path))
    const fill = async (part: FileHandle) => {
      if (!isShared) await pour(read(source, signal), part, limits.maxBytes, check, () => {})
      else if (checksum !== null) for await (const chunk of read(part, signal)) check.update(chunk)
      check.conclude()
    }
    await makeWhole(file, fill, begin)
  } finally {
    await source.close()
  }
}

/** Removes the image, and what a download that was cut short left of it. */
export async function discardImage(file: string): Promise<void> {
  await removeWhole(file)
}

function pathOf(fileUrl: string): string {
  try {
    return fileURLToPath(fileUrl)
  } catch (cause) {
    const text = `"${fileUrl}" does not name a file of this machine; write file:// and its absolute path, as in file:///srv/image.qcow2`
    throw new Problem('invalid', 'url-not-supported', text, { cause })
  }
}

/** A link could be turned to another file between the look and the copy, and opening a pipe could wait for ever. */
async function openRegular(path: string): Promise<FileHandle> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const source = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((cause: unknown) => {
    throw noSuchFile(path, cause)
  })
  if ((await source.stat()).isFile()) return source
  await source.close()
  throw noSuchFile(path)
}

function noSuchFile(path: string, cause?: unknown): Problem {
  const text = `${path} is no regular file that this server can read (links are not followed); check the path and its permissions`
  return new Problem('invalid', 'no-such-file', text, { cause })
}

/** By descriptor, so that it is the file that was looked at. Where the file system cannot share, nothing is made. */
async function shareBlocks(source: FileHandle, part: string): Promise<boolean> {
  return copyFile(`/proc/self/fd/${source.fd}`, part, constants.COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  )
}

async function* read(source: FileHandle, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    signal.throwIfAborted()
    const { bytesRead, buffer } = await source.read(Buffer.allocUnsafe(1 << 20), 0, 1 << 20, position)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
    position += bytesRead
  }
}
