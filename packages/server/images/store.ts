// A secondary storage as a folder: marked as its own, so that the empty folder beneath an unmounted file system is not taken for
// it, and measured.
import { stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'
import { makeFolders, markFolder, readMark, unmarkFolder } from '../folder-mark.ts'

export interface StoreFolder {
  readonly id: string
  readonly path: string
}

export interface StoreSpace {
  readonly totalBytes: number
  readonly freeBytes: number
}

/** Machines read their CDs here, as users of their own: they pass through, and can list nothing. */
export async function prepareStore({ id, path }: StoreFolder): Promise<void> {
  await makeFolders(path, 'templates')
  await markFolder(path, id)
}

/** Whether machines can reach the folder. */
export async function requirePassage(folder: string): Promise<void> {
  if (process.getuid?.() === 0 && ((await stat(folder)).mode & 0o001) === 0)
    throw new Problem(
      'invalid',
      'folder-closed',
      `Machines run as users of their own and cannot pass through ${folder}; allow that with: chmod o+x ${folder}`,
    )
  if (folder !== dirname(folder)) await requirePassage(dirname(folder))
}

/** Throws 'unavailable' unless the folder carries the store's mark. Stores from before there were marks have images instead. */
export async function requireStore({ id, path }: StoreFolder): Promise<void> {
  const mark = await readMark(path)
  if (mark === id || (mark === null && (await isFolder(join(path, 'templates'))))) return
  throw new Problem(
    'unavailable',
    'store-missing',
    `The secondary storage at ${path} is not there: ${mark ? `the folder is marked as ${mark}'s` : 'the folder is missing or empty'}. Mount its file system, or restore it from a backup`,
  )
}

export async function storeSpace(store: StoreFolder): Promise<StoreSpace> {
  await requireStore(store)
  const { blocks, bavail, bsize } = await statfs(store.path)
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
}

export async function releaseStore({ id, path }: StoreFolder): Promise<void> {
  await unmarkFolder(path, id)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}
