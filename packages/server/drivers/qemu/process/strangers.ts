// Image files from strangers, as qemu-img gets to see them: an open file instead of a path, read by a user that owns nothing, with
// bounded memory and processor time, in the format that we say, and with no other file behind it.
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { ImageFacts } from '../../driver.ts'
import { asMessage } from './json-socket.ts'
import type { Identity } from './privileges.ts'
import { problems } from '../problems.ts'
import { lastLine, runTool } from './tools.ts'
import type { ToolRun } from './tools.ts'

/** `qemu-img check` holds one counter per cluster: 32 MiB for a TiB. Threads and their arenas take address space only. */
export const inspectionLimits = { memoryBytes: 2 * 2 ** 30, cpuSeconds: 30 }
/** A conversion takes as long as the disk is large; its caller can abort it. */
export const conversionLimits = { memoryBytes: 4 * 2 ** 30, cpuSeconds: 24 * 3600 }

/** The tool opens /proc/self/fd/3 anew, so the folders above need not let it pass but the file itself must let it read. */
export async function openForStranger(path: string, stranger: Identity | null): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK) // a pipe would keep us waiting
  try {
    const facts = await file.stat()
    if (!facts.isFile()) throw problems.image('image-not-a-file', 'The image is not an ordinary file')
    const readable = (facts.mode & 0o004) !== 0 || (facts.gid === stranger?.gid && (facts.mode & 0o040) !== 0)
    if (stranger && !readable) {
      // Its owner keeps it; the group is the stranger's, which nobody else is in.
      await file.chown(facts.uid, stranger.gid)
      await file.chmod((facts.mode & 0o700) | 0o040)
    }
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

export function imageAsFilename(format: ImageFacts['format']): string {
  const file = { driver: 'file', filename: '/proc/self/fd/3', 'read-only': true }
  const alone = format === 'qcow2' || format === 'vmdk' ? { backing: null } : {}
  return `json:${JSON.stringify({ driver: format, file, 'read-only': true, ...alone })}`
}

export interface ImageInfo {
  readonly virtualBytes: number
  readonly encrypted: boolean
  readonly hasBackingFile: boolean
}

/** What qemu-img reads in the image that `run` passes on. */
export async function imageInfo(format: ImageFacts['format'], run: ToolRun): Promise<ImageInfo> {
  const { code, stdout, stderr } = await runTool('qemu-img', ['info', '--output=json', imageAsFilename(format)], run)
  if (code !== 0) throw problems.image('image-damaged', `The image cannot be read as ${format}${reason(stderr)}`)
  const info = asMessage(JSON.parse(stdout))
  return {
    virtualBytes: Number(info['virtual-size']),
    encrypted: info['encrypted'] === true,
    hasBackingFile: 'backing-filename' in info || 'full-backing-filename' in info,
  }
}

/** Without our own words for the file, which would mean nothing to the user. */
export function reason(stderr: string): string {
  const said = lastLine(stderr.replaceAll(/json:\{.*?\}':? ?/g, '').replaceAll('/proc/self/fd/3', 'the file'))
  return said ? ` (${said})` : ''
}
