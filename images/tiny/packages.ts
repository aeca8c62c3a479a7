// Gets the distribution's packages without installing them: apt knows where they come from and checks their signatures,
// `apt-get download` needs no root, and `dpkg-deb -x` unpacks into a directory of ours.

import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './run.ts'

export interface Package {
  readonly name: string
  readonly version: string
}

export interface Apt {
  /** The newest version on offer for each of `names`; a name that nobody offers is left out. */
  offers(names: readonly string[]): Promise<Package[]>
  /** `roots` and what they depend on, following only names that match `through`. */
  closure(roots: readonly string[], through: RegExp): Promise<string[]>
  unpack(packages: readonly Package[], directory: string): Promise<void>
}

/** The machine's package lists, or, where it has none (a fresh container), lists of our own under `work`. */
export async function openApt(work: string, probe: string): Promise<Apt> {
  const system = apt(work, [])
  if ((await system.offers([probe])).length > 0) return system
  const own = ['-o', `Dir::State::Lists=${work}/lists`, '-o', `Dir::Cache=${work}/cache`]
  await mkdir(join(work, 'lists/partial'), { recursive: true })
  await mkdir(join(work, 'cache/archives/partial'), { recursive: true })
  await run('apt-get', [...own, ...sandbox(), '-qq', 'update'])
  return apt(work, own)
}

function apt(work: string, options: readonly string[]): Apt {
  return {
    async offers(names) {
      return parsePolicy(await run('apt-cache', [...options, 'policy', ...names]))
    },
    async closure(roots, through) {
      const graph = parseDepends(await run('apt-cache', [...options, 'depends', '--recurse', '--important', ...roots]))
      const found = new Set(roots)
      for (const name of found) {
        for (const needed of graph.get(name) ?? []) if (through.test(needed)) found.add(needed)
      }
      return [...found].sort()
    },
    async unpack(packages, directory) {
      const downloads = join(work, 'downloads')
      await mkdir(downloads, { recursive: true })
      await mkdir(directory, { recursive: true })
      const wanted = packages.map(({ name, version }) => `${name}=${version}`)
      await run('apt-get', [...options, ...sandbox(), '-qq', 'download', ...wanted], { cwd: downloads })
      for (const file of await readdir(downloads)) await run('dpkg-deb', ['-x', join(downloads, file), directory])
    },
  }
}

/** As root, apt would hand the download to its own user, who may not write to our directory. */
function sandbox(): string[] {
  return process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : []
}

export function parsePolicy(text: string): Package[] {
  return [...text.matchAll(/^(\S+):\n(?: {2}.*\n)*? {2}Candidate: (\S+)$/gm)]
    .map(([, name = '', version = '']) => ({ name, version }))
    .filter(({ version }) => version !== '(none)')
}

/** Of alternatives (`a | b`) the first counts, as it does for apt; names in angle brackets are virtual. */
export function parseDepends(text: string): Map<string, string[]> {
  const graph = new Map<string, string[]>()
  let needs: string[] = []
  let isAlternative = false
  for (const line of text.split('\n')) {
    if (/^\S/.test(line)) graph.set(line, (needs = []))
    const [, bar, name] = /^ ([ |])(?:Pre)?Depends: (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    if (!isAlternative && !name.startsWith('<')) needs.push(name)
    isAlternative = bar === '|'
  }
  return graph
}
