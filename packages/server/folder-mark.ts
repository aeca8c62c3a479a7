// A folder of storage carries a file that says whose it is. Where its file system is not mounted, the file is not there either,
// and the empty folder beneath is not taken for the storage; nor is one storage's folder for another's.
import { chmod, mkdir, readdir, readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'
import { writeWhole } from './write-whole.ts'

const markName = '.ramet-id'

/** What storage itself may have left in a folder, or a fresh file system. */
const known = [markName, 'layers', 'templates', 'volumes', 'downloads', 'lost+found']

/**
 * Makes `folder` and `inner` in it, which everybody may pass through and nobody may list. One that holds anything else is left
 * as it is: /etc, /tmp or the database would not live on with these rights.
 */
export async function makeFolders(folder: string, inner: string): Promise<void> {
  const folders = [folder, join(folder, inner)]
  try {
    await makeFolder(folder)
    const foreign = (await readdir(folder)).find(name => !known.includes(name))
    if (foreign !== undefined) throw occupied(folder, foreign)
    for (const each of folders) {
      await makeFolder(each)
      await chmod(each, 0o711) // whatever the umask took away
    }
  } catch (cause) {
    if (cause instanceof Problem || !(cause instanceof Error)) throw cause
    throw new Problem('invalid', 'folder-unusable', `${folder} cannot be made a storage: ${cause.message}`, { cause })
  }
}

/** With all above it. Node's own way (`recursive`) never comes back from a place like /proc, where nothing can be made. */
async function makeFolder(folder: string): Promise<void> {
  const make = () => mkdir(folder, { mode: 0o711 }).catch(unlessCode('EEXIST'))
  try {
    await make()
  } catch (error) {
    if (!isMissing(error) || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder))
    await make()
  }
}

function unlessCode(code: string): (error: unknown) => void {
  return error => {
    if (!(error instanceof Error && 'code' in error && error.code === code)) throw error
  }
}

function occupied(folder: string, name: string): Problem {
  return new Problem(
    'refused',
    'folder-occupied',
    `${folder} has other things in it, such as ${name}; choose a folder that is empty or does not exist yet`,
  )
}

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
