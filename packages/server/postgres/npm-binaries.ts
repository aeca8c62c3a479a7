// Makes the PostgreSQL that npm carries usable by the account it must run as.
//
// In place, two things can be wrong: the project lies where that account may not look (under /root, say), or npm was
// told to run no scripts, so that the links between library versions were never made. node_modules is npm's, not ours;
// what does not work there is copied once into the data directory and put right in the copy.
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { type Account, mayUse, run } from './account.ts'
import { isThere, type NpmPackage } from './installation.ts'

/** One library's file and the other name it must answer to, both from the package's root. */
interface Link {
  readonly source: string
  readonly target: string
}

/** The folder with initdb and postgres in it, runnable by `account`. */
export async function usableBinaries(carried: NpmPackage, account: Account, directory: string): Promise<string> {
  const copy = join(directory, `postgres-binaries-${carried.version}`)
  if (await isThere(copy)) return join(copy, 'bin')
  if ((await isComplete(carried)) && (await mayUse(account, join(carried.root, 'bin/postgres')))) {
    return join(carried.root, 'bin')
  }
  await copyBinaries(carried, copy)
  await removeOlderCopies(directory, basename(copy))
  return join(copy, 'bin')
}

async function links({ root }: NpmPackage): Promise<Link[]> {
  return JSON.parse(await readFile(join(root, 'pg-symlinks.json'), 'utf8')) as Link[]
}

async function isComplete(carried: NpmPackage): Promise<boolean> {
  for (const { target } of await links(carried)) if (!(await isThere(join(dirname(carried.root), target)))) return false
  return true
}

/** Under its final name the copy is always whole: a crash leaves a draft, which the next start removes. */
async function copyBinaries(carried: NpmPackage, copy: string): Promise<void> {
  const draft = await mkdtemp(`${copy}.unfinished-`)
  const native = join(draft, basename(carried.root))
  const isNeeded = (source: string) => !source.endsWith('.a') // archives are for linking, a quarter of the bytes
  await cp(carried.root, native, { recursive: true, verbatimSymlinks: true, filter: isNeeded })
  for (const { source, target } of await links(carried)) await relink(join(draft, source), join(draft, target))
  await run({ program: 'chmod', arguments: ['-R', 'a+rX,go-w', native] })
  await run({ program: 'sync', arguments: ['--file-system', native] })
  await rename(native, copy)
  await rm(draft, { recursive: true })
}

async function relink(source: string, target: string): Promise<void> {
  await rm(target, { force: true })
  await mkdir(dirname(target), { recursive: true })
  await symlink(relative(dirname(target), source), target)
}

async function removeOlderCopies(directory: string, current: string): Promise<void> {
  const family = /^postgres-binaries-\d+/.exec(current)?.[0] ?? current
  for (const name of await readdir(directory)) {
    if (name !== current && name.startsWith(`${family}.`)) await rm(join(directory, name), { recursive: true })
  }
}
