// Builds an ordinary Debian cloud image from the distribution's packages: systemd, cloud-init, OpenSSH, the guest agent, the
// standard kernel, GRUB. Nothing in it knows of Ramet: it stands for the images that users bring. README.md says more.
//
//   node images/debian/build.ts DIRECTORY

import { createHash, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { makeDisk } from '../tiny/disk.ts'
import { run } from '../tiny/run.ts'
import { bootSectors, writeBootFiles } from './boot.ts'
import { type Debian, findDebian, makeTree } from './system.ts'

const recipe = ['build.ts', 'boot.ts', 'system.ts']
const diskMib = 2048
const journalMib = 32

/** Why the image cannot be built here, as a sentence; null when it can. */
export async function whyNoDebian(): Promise<string | null> {
  if (process.arch !== 'x64') return `the image is for amd64, and this machine is ${process.arch}`
  if (process.getuid?.() !== 0) return 'its files belong to many users, so that only root can build it'
  if (!(await findDebian())) return 'this machine runs another distribution'
  const hasTool = await run('mmdebstrap', ['--version']).catch(() => null)
  return hasTool ? null : 'mmdebstrap is not installed'
}

/** Leaves the image in `directory`; one built before by the same recipe is used as it is. Delete it for newer packages. */
export async function buildDebian(directory: string, onProgress: (line: string) => void = () => {}): Promise<string> {
  const reason = await whyNoDebian()
  const debian = await findDebian()
  if (reason || !debian) throw new Error(`Cannot build the Debian image: ${reason}`)
  const file = join(directory, `debian-${debian.codename}-amd64-${await hashOfRecipe()}.qcow2`)
  if (await stat(file).catch(() => null)) return file
  await mkdir(directory, { recursive: true })
  // Beside the target, so that the last step is a rename. A builder that dies leaves only such a directory.
  const work = await mkdtemp(join(resolve(directory), '.debian-'))
  try {
    await rename(await build(debian, work, onProgress), file)
    return file
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function build(debian: Debian, work: string, onProgress: (line: string) => void): Promise<string> {
  const tree = join(work, 'tree')
  const rootId = randomUUID()
  onProgress(`Installing Debian ${debian.codename} into a directory`)
  await makeTree(debian, tree)
  await writeBootFiles(tree, rootId)
  onProgress('Writing the disk image')
  const image = join(work, 'debian.qcow2')
  await makeDisk({ tree, start: await bootSectors(tree), rootId, label: 'root', diskMib, journalMib }, work, image)
  return image
}

async function hashOfRecipe(): Promise<string> {
  const texts = await Promise.all(recipe.map(name => readFile(join(import.meta.dirname, name))))
  return createHash('sha256').update(Buffer.concat(texts)).digest('hex').slice(0, 12)
}

if (import.meta.main) {
  const [directory] = process.argv.slice(2)
  if (!directory) throw new Error('Usage: node images/debian/build.ts DIRECTORY')
  console.log(await buildDebian(directory, line => console.error(line)))
}
