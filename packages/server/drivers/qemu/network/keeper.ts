// Where namespaces of networks are. Root's are the host's own, with names as ip-netns(8) gives them. An ordinary user's are in a user
// namespace of his, in which he may do what root may, and their names in a mount namespace with it. Both live as long as any process is
// in them: the keeper, which does nothing else, or where that was ended a dnsmasq or a machine, from which another keeper starts.
//
//   <networks>/keeper -> /proc/PID        so that paths through it lead to the same place whoever is the keeper
//   <networks>/namespaces/NETWORK-ID      names, seen in the mount namespace alone
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readlink, rename, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { server } from '../process/privileges.ts'
import { killAndWait, processAt } from '../process/process.ts'
import { problems } from '../problems.ts'
import { lastLine, toolEnvironment } from '../process/tools.ts'
import { Turns } from '../machines/turns.ts'

/** Whether the server is not root, and so makes networks in a user namespace. */
export const isOrdinary = server.uid !== 0
/** Who an ordinary user is in his user namespace; only his own id is known there. */
export const insider = { uid: 0, gid: 0 }

const program = join(import.meta.dirname, 'keeper.pl')
const endLimitMs = 5000
const turns = new Turns<string>()

const keeper = (directory: string) => join(directory, 'keeper')
const names = (directory: string) => join(directory, 'namespaces')

/** The file that names a namespace, for those who are where the names are. */
export function nameFile(directory: string, id: string, name: string): string {
  return isOrdinary ? join(names(directory), id) : `/run/netns/${name}`
}

/** The same file as the server sees it. */
export function seenFromHere(directory: string, file: string): string {
  return isOrdinary ? join(keeper(directory), 'root', file) : file
}

/** Namespaces to enter, one after the other, before that of a network. */
export function entrance(directory: string): string[] {
  return isOrdinary ? ['user', 'mnt'].map(kind => join(keeper(directory), 'ns', kind)) : []
}

/** The file of the user namespace that all are in. */
export const userNamespace = (directory: string) => join(keeper(directory), 'ns/user')

/** What comes before a command that runs where the names are, and in the namespace `net` if one is given. */
export function inside(directory: string, net: string | null): string[] {
  if (!isOrdinary && net === null) return []
  return ['nsenter', ...(isOrdinary ? into(keeper(directory)) : []), ...(net === null ? [] : [`--net=${net}`]), '--']
}

const into = (process: string) => ['--preserve-credentials', `--user=${process}/ns/user`, `--mount=${process}/ns/mnt`]

/** Sees to it that there is a place for namespaces. */
export async function ensureKeeper(directory: string): Promise<void> {
  if (!isOrdinary || (await isMember(directory, keeper(directory)))) return
  await turns.take(directory, async () => {
    if (await isMember(directory, keeper(directory))) return
    await mkdir(names(directory), { recursive: true, mode: 0o700 })
    await start(directory, await findMember(directory))
  })
}

/** Ends it where no network is left, as `isEmpty` tells. */
export async function endKeeper(directory: string, isEmpty: () => Promise<boolean>): Promise<void> {
  if (!isOrdinary) return
  await turns.take(directory, async () => {
    if (!(await isEmpty())) return
    const found = (await isMember(directory, keeper(directory))) ? await processOf(directory) : null
    if (found && !(await killAndWait(found, endLimitMs))) throw problems.keeperFailed('the old one does not end')
    await rm(keeper(directory), { force: true })
  })
}

/** The process that keeps the namespaces; null when there is none. */
export async function processOf(directory: string) {
  const pid = Number(/^\/proc\/(\d+)$/.exec(await readlink(keeper(directory)).catch(() => ''))?.[1])
  return pid ? processAt(pid) : null
}

/** Whether the process is where the names are. */
export const isMemberOf = (directory: string, pid: number) => isMember(directory, `/proc/${pid}`)

/** Whether the process at `/proc/PID` is among the names: something is mounted there that is not here. */
async function isMember(directory: string, process: string): Promise<boolean> {
  const folder = names(directory)
  const [here, there] = await Promise.all([deviceOf(folder), deviceOf(join(process, 'root', folder))])
  return here !== null && there !== null && here !== there
}

const deviceOf = (path: string) =>
  stat(path).then(
    ({ dev }) => dev,
    () => null,
  )

async function findMember(directory: string): Promise<string | null> {
  for (const pid of await readdir('/proc'))
    if (/^\d+$/.test(pid) && (await isMember(directory, `/proc/${pid}`))) return `/proc/${pid}`
  return null
}

async function start(directory: string, member: string | null): Promise<void> {
  const way = member === null ? ['unshare', '--user', '--map-root-user', '--mount'] : ['nsenter', ...into(member)]
  const words = [...way, '--', 'perl', program, names(directory), ...(member === null ? ['new'] : [])]
  const child = spawn('setpriv', ['--no-new-privs', '--', ...words], {
    env: toolEnvironment,
    cwd: '/',
    detached: true, // it outlives the server
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.unref()
  child.on('error', () => {}) // seen below: it says nothing
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const said = await Promise.race([once(child.stdout, 'data'), once(child.stdout, 'close').then(() => [])])
  if (said.length === 0) throw problems.keeperFailed(lastLine(complaint))
  child.stdout.destroy()
  child.stderr.destroy()
  const next = `${keeper(directory)}.new`
  await rm(next, { force: true })
  await symlink(`/proc/${child.pid}`, next)
  await rename(next, keeper(directory))
}
