// The serial console's log and QEMU's own, bounded: a guest that prints without end must not fill the host's disk. QEMU opens
// both for appending, so a file cut short here goes on at its new end.
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { isErrno } from '../problems.ts'

const longest = 1024 * 1024
const kept = 256 * 1024

/** The last bytes of a file; none when there is no file. */
export async function tailOf(path: string, maxBytes: number): Promise<Buffer> {
  const file = await openLog(path, constants.O_RDONLY)
  if (!file) return Buffer.alloc(0)
  try {
    return await readTail(file, maxBytes)
  } finally {
    await file.close()
  }
}

/** Keeps the end of a log that has grown too long. What the guest writes in between may come before it, and is not lost. */
export async function cutLog(path: string): Promise<void> {
  const file = await openLog(path, constants.O_RDWR | constants.O_APPEND)
  if (!file) return
  try {
    if ((await file.stat()).size <= longest) return
    const tail = await readTail(file, kept)
    await file.truncate(0)
    await file.write(tail)
  } finally {
    await file.close()
  }
}

async function openLog(path: string, flags: number): Promise<FileHandle | null> {
  try {
    return await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

async function readTail(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const { size } = await file.stat()
  const length = Math.min(size, maxBytes)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
  return buffer.subarray(0, bytesRead)
}
