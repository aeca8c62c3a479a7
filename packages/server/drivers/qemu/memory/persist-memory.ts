// A memory image goes from the host's memory to its pool, while the machine runs that it was taken of. Zeros become holes.
import { copyFile, stat, statfs } from 'node:fs/promises'
import type { MemoryImageFacts, MemoryImageRef, Progress } from '../../driver.ts'
import * as files from './memory-files.ts'
import type { ImageAt } from './memory-files.ts'
import type { MemoryImages } from './memory-images.ts'
import { flushFile } from '../disks/layer-files.ts'
import type { Identity } from '../process/privileges.ts'
import { problems } from '../problems.ts'
import { lastLine, runTool } from '../process/tools.ts'

const lookEveryMs = 250

/** Before the machine stands still for it: what it has written so far must find room. */
export async function demandRoom(image: MemoryImageRef, ram: string): Promise<void> {
  const [{ blocks }, { bavail, bsize }] = await Promise.all([stat(ram), statfs(image.pool.path)])
  if (bavail * bsize < blocks * 512) throw problems.poolFull(image.pool.path)
}

export async function persistImage(
  image: MemoryImageRef,
  images: MemoryImages,
  identity: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<MemoryImageFacts> {
  const [from, to] = [images.inHost(image), files.onPool(image)]
  const { shape, quiesced } = await files.requireManifest(from)
  try {
    const target = await files.beginImage(to, shape.memoryMib, identity)
    const source = files.memoryFiles(from)
    await copyWithHoles(source.ram, target.ram, to, progress, signal)
    await copyFile(source.state, target.state)
    for (const path of [target.ram, target.state]) await flushFile(path)
    const facts = await files.publishImage(to, { shape, quiesced })
    await images.discardInHost(image)
    progress(100)
    return facts
  } catch (error) {
    await files.discardImage(to).catch(() => {}) // the first failure is the one to tell
    throw error
  }
}

async function copyWithHoles(from: string, to: string, image: ImageAt, progress: Progress, signal: AbortSignal) {
  const { blocks } = await stat(from)
  const looking = setInterval(() => {
    void stat(to).then(
      ({ blocks: now }) => progress(Math.min(95, (95 * now) / Math.max(1, blocks))),
      () => {},
    )
  }, lookEveryMs)
  try {
    const run = { identity: null, signal }
    const { code, stderr } = await runTool('cp', ['--sparse=always', '--reflink=never', '--', from, to], run)
    if (code !== 0 && /No space left|quota/i.test(stderr)) throw problems.poolFull(image.pool.path)
    if (code !== 0) throw problems.memoryNotSent(lastLine(stderr))
  } finally {
    clearInterval(looking)
  }
}
