// Builds `tiny`, the demo template: a small ordinary bootable Linux disk, from the packages of the distribution that we run
// on. Nothing is installed, mounted or run as root. README.md says what is in it.
//
//   node images/tiny/build.ts DIRECTORY

import { createHash, type Hash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { coreImage } from './boot-loader.ts'
import { makeDisk } from './disk.ts'
import { kernelPackages, prepareKernel } from './kernel.ts'
import { openLibraries } from './libraries.ts'
import { type Apt, openApt, type Package } from './packages.ts'
import { makeInitrd, makeTree, recipeFiles } from './tree.ts'

/** What the builder runs that a minimal Debian or Ubuntu may lack; apt and dpkg are always there. */
export const tinyHostPackages: readonly string[] = ['e2fsprogs', 'qemu-utils']

/** What goes into the image, and GRUB's builder, which runs unpacked. */
const programPackages = [
  'busybox-static',
  'dropbear-bin',
  'e2fsprogs',
  'grub-common',
  'grub-pc-bin',
  'qemu-guest-agent',
]

export interface BuildOptions {
  readonly directory: string
  readonly onProgress?: (line: string) => void
}

export interface Built {
  readonly file: string
  readonly bytes: number
}

/**
 * Leaves the image in `directory` as `tiny-<arch>-<recipe>-<packages>.qcow2`. One built from the same recipe is used as it
 * is, without asking the network whether its packages have newer versions: delete it to have it built afresh.
 */
export async function buildTiny({ directory, onProgress = () => {} }: BuildOptions): Promise<Built> {
  if (process.arch !== 'x64') throw new Error(`tiny is built for amd64 only, and this machine is ${process.arch}`)
  await mkdir(directory, { recursive: true })
  const recipe = await hashOfRecipe()
  const name = `tiny-amd64-${recipe.slice(0, 12)}`
  const cached = await findCached(directory, name)
  if (cached) return cached
  // Beside the target, so that the last step is a rename. A builder that dies leaves only such a directory.
  const work = await mkdtemp(join(resolve(directory), '.tiny-'))
  try {
    const { image, packages } = await build(work, recipe, onProgress)
    const file = join(directory, `${name}-${hashOf(packages.map(p => `${p.name} ${p.version}\n`)).slice(0, 8)}.qcow2`)
    await rename(image, file)
    return { file, bytes: (await stat(file)).size }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function build(work: string, recipe: string, onProgress: (line: string) => void) {
  onProgress('Choosing packages')
  const apt = await openApt(work, 'busybox-static')
  const packages = await choosePackages(apt)
  onProgress(`Downloading ${packages.length} packages`)
  const unpacked = join(work, 'packages')
  await apt.unpack(packages, unpacked)
  onProgress('Putting together the file system')
  const busybox = join(unpacked, await firstPath(unpacked, ['usr/bin/busybox', 'bin/busybox']))
  const libraries = await openLibraries(unpacked)
  const kernel = await prepareKernel(unpacked, work, busybox)
  const ingredients = { packages: unpacked, kernel, libraries, busybox, ours: join(import.meta.dirname, 'guest') }
  const tree = await makeTree(ingredients, await makeInitrd(ingredients, work), work)
  onProgress('Writing the disk image')
  const rootId = uuidFrom(recipe)
  const image = join(work, 'tiny.qcow2')
  const start = await coreImage(unpacked, work, libraries, rootId)
  // Small, so that full clones are quick.
  await makeDisk({ tree, start, rootId, label: 'tiny', diskMib: 512, journalMib: 8 }, work, image)
  return { image, packages }
}

async function choosePackages(apt: Apt): Promise<Package[]> {
  const offered = await apt.offers(kernelPackages)
  const meta = kernelPackages.find(name => offered.some(({ name: found }) => found === name))
  if (!meta) throw new Error(`This distribution offers none of the kernels ${kernelPackages.join(', ')}`)
  const kernel = await apt.closure([meta], /^linux-(image|modules)-/)
  const programs = await apt.closure(programPackages, /^(lib|zlib)(?!perl|.*-perl$)/)
  return apt.offers([...kernel, ...programs])
}

async function hashOfRecipe(): Promise<string> {
  return hashOf(
    (await recipeFiles(import.meta.dirname)).flatMap(({ path, bytes }) => [`${path} ${bytes.length}\n`, bytes]),
  )
}

function hashOf(parts: readonly (string | Buffer)[]): string {
  return parts.reduce((hash: Hash, part) => hash.update(part), createHash('sha256')).digest('hex')
}

async function findCached(directory: string, name: string): Promise<Built | null> {
  const found = (await readdir(directory)).filter(file => file.startsWith(name) && file.endsWith('.qcow2')).sort()[0]
  return found ? { file: join(directory, found), bytes: (await stat(join(directory, found))).size } : null
}

/** In the form of a random UUID. */
function uuidFrom(hex: string): string {
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/, '$1-$2-4$3-8$4-$5')
}

async function firstPath(directory: string, paths: readonly string[]): Promise<string> {
  for (const path of paths) if (await stat(join(directory, path)).catch(() => null)) return path
  throw new Error(`No package holds ${paths.join(' or ')}`)
}

if (import.meta.main) {
  const [directory] = process.argv.slice(2)
  if (!directory) throw new Error('Usage: node images/tiny/build.ts DIRECTORY')
  const { file, bytes } = await buildTiny({ directory, onProgress: line => console.error(line) })
  console.log(`${file} ${bytes} bytes`)
}
