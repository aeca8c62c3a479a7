// A folder of storage carries a file that says whose it is. Where its file system is not mounted, the file is not there either,
// and the empty folder beneath is not taken for the storage; nor is one storage's folder for another's.
import { readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'
import { writeWhole } from './write-whole.ts'

const markName = '.ramet-id'

/** The id that the folder carries; null when it carries none, or is not there. */
export async function readMark(folder: string): Promise<string | null> {
  try {
    return (await readFile(join(folder, markName), 'utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** Marks the folder as that of `id`; one that is another's is refused. */
export async function markFolder(folder: string, id: string): Promise<void> {
  const mark = await readMark(folder)
  if (mark === id) return
  if (mark !== null)
    throw new Problem(
      'refused',
      'folder-taken',
      `${folder} belongs to the storage ${mark}; choose another folder, or remove ${join(folder, markName)} once you know that nothing uses it`,
    )
  await writeWhole(join(folder, markName), `${id}\n`)
}

export async function unmarkFolder(folder: string, id: string): Promise<void> {
  if ((await readMark(folder)) === id) await unlink(join(folder, markName))
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR'].includes(String(error.code))
}
