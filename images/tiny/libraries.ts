// Finds the shared libraries that unpacked programs need, by asking the unpacked dynamic loader itself. The machine's own
// loader and libraries stay out of it: they may be of another version than the packages.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './run.ts'

export interface Libraries {
  readonly loader: string
  /** The files that `program` needs, and the loader. */
  of(program: string): Promise<string[]>
  /** Runs an unpacked program on this machine. */
  run(program: string, args: readonly string[]): Promise<string>
}

const triplet = 'x86_64-linux-gnu'

/** Note that the packages' /lib64 may be a link to an absolute path, and so to the loader of this machine. */
export async function openLibraries(packages: string): Promise<Libraries> {
  const loader = await find(packages, [`usr/lib/${triplet}`, `lib/${triplet}`], /^ld-linux-.*\.so/)
  const path = ['lib', 'usr/lib'].flatMap(top => [join(packages, top, triplet), join(packages, top)]).join(':')
  return {
    loader,
    async of(program) {
      const text = await run(loader, ['--inhibit-cache', '--library-path', path, '--list', program])
      const found = [...text.matchAll(/^\s*(\S+) => (.*?)(?: \(0x.*)?$/gm)].map(([, name = '', file = '']) => ({
        name,
        file,
      }))
      // The loader also looks in its usual directories, which are this machine's.
      const missing = found.filter(({ name, file }) => !file.startsWith(packages) && !name.startsWith('/'))
      if (missing.length > 0)
        throw new Error(`No package brings ${missing.map(({ name }) => name).join(', ')} for ${program}`)
      return [loader, ...found.filter(({ name }) => !name.startsWith('/')).map(({ file }) => file)]
    },
    run: (program, args) => run(loader, ['--library-path', path, program, ...args]),
  }
}

/** Before and after the move of /bin, /sbin and /lib under /usr, packages say either path. */
export async function find(packages: string, directories: readonly string[], name: RegExp): Promise<string> {
  for (const directory of directories) {
    const found = (await readdir(join(packages, directory)).catch(() => [])).find(entry => name.test(entry))
    if (found) return join(packages, directory, found)
  }
  throw new Error(`No package holds ${directories[0]}/${name.source}`)
}
