// Walks a tree of files.

import { readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'

/** Paths of all that is in `directory`, parents first; unlike Node's recursive readdir, it does not follow links. */
export async function walk(directory: string): Promise<string[]> {
  const paths: string[] = []
  const queue = [directory]
  for (const parent of queue) {
    for (const entry of await readdir(parent, { withFileTypes: true })) {
      const file = join(parent, entry.name)
      paths.push(relative(directory, file))
      if (entry.isDirectory()) queue.push(file)
    }
  }
  return paths.sort()
}
