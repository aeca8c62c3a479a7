// A disk as a file that can be used elsewhere.
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { LayerChain, Progress } from '../../driver.ts'
import { chainAsFilename, tipOf } from './blockdev.ts'
import { convert, flatTarget } from './convert.ts'
import { empty, factsOf, makeAndOpen, syncFolder } from './layer-files.ts'
import type { Identity } from '../process/privileges.ts'
import { give, server } from '../process/privileges.ts'

/** Whole or not at all: it gets its name when all of it is on the disk, and belongs to the server then. */
export async function exportChain(
  chain: LayerChain,
  file: string,
  owner: Identity | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { virtualBytes } = await factsOf(tipOf(chain))
  const path = `${file}.part`
  await mkdir(dirname(file), { recursive: true, mode: 0o711 }) // the account writes there, and sees nothing else
  await rm(path, { force: true })
  const part = await makeAndOpen(path, empty(virtualBytes, null), owner)
  try {
    await convert(chainAsFilename(chain), flatTarget(path), dirname(file), { identity: owner, signal }, progress)
    await give(part, server)
    await part.sync()
    await rename(path, file)
    await syncFolder(dirname(file))
  } finally {
    await part.close()
    await rm(path, { force: true })
  }
}
