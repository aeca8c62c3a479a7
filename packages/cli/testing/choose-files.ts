// Which test files run, and which of them may share the machine. Those that boot guests share it with one other at
// most: under TCG one guest keeps a core busy, and their time limits are about guests, not about each other.
import { glob } from 'node:fs/promises'
import { join } from 'node:path'

export interface Chosen {
  /** Run side by side. */
  readonly light: readonly string[]
  /** Run two at a time, where there are two cores. */
  readonly heavy: readonly string[]
  /** How many match but are left out, since they are slow. */
  readonly slow: number
}

const patterns = ['packages/**/*.test.ts', 'e2e/**/*.test.ts', 'images/**/*.test.ts']
const heavyPlaces = /^(e2e|images)\/|^packages\/server\/drivers\/qemu\//

export async function findTestFiles(root: string): Promise<string[]> {
  const exclude = (path: string) => path.endsWith('node_modules')
  const found: string[] = []
  for await (const file of glob(patterns, { cwd: root, exclude })) found.push(file)
  return found.sort()
}

export function chooseFiles(found: readonly string[], filters: readonly string[], all: boolean): Chosen {
  const matching = found.filter(file => filters.length === 0 || filters.some(filter => file.includes(filter)))
  const chosen = matching.filter(file => all || !isSlow(file))
  return {
    light: chosen.filter(file => !heavyPlaces.test(file)),
    heavy: chosen.filter(file => heavyPlaces.test(file)),
    slow: matching.length - chosen.length,
  }
}

export function isSlow(file: string): boolean {
  return file.endsWith('.slow.test.ts')
}

export function inFolder(root: string, files: readonly string[]): string[] {
  return files.map(file => join(root, file))
}
