// The operating-system account that PostgreSQL runs as, and how a program is started under it.
//
// PostgreSQL refuses to run as root. A server that is root lends it an account that exists already; any other server
// runs it as itself. Either way `setpriv` ties its life to ours: the kernel sends the death signal when the thread
// that spawned it ends, also by kill -9. (Node spawns from the thread that asks, so ask from the main thread.) setpriv
// asks for the signal after it has changed the user, because the kernel forgets it at such a change.
import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

export interface Command {
  readonly program: string
  readonly arguments: readonly string[]
}

/** Nothing of our own environment, which may hold secrets; messages in English, since we read some of them. */
export const environment = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' }

export const isRoot = process.getuid?.() === 0

/** Who shall own a new cluster. An entry in /etc/passwd is needed, as initdb looks its own name up. */
export async function accountForNewCluster(): Promise<Account> {
  if (!isRoot) return { name: 'this user', uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1 }
  const entries = (await readFile('/etc/passwd', 'utf8')).split('\n').map(line => line.split(':'))
  for (const wanted of ['postgres', 'nobody', 'daemon']) {
    const [name, , uid, gid] = entries.find(entry => entry[0] === wanted) ?? []
    if (name && Number(uid) > 0) return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres, nobody or daemon to run it as')
}

/** The owner runs it: a user "postgres" that appears later on this machine must not lock us out of our own cluster. */
export async function accountOfCluster(cluster: string): Promise<Account> {
  const { uid, gid } = await stat(cluster)
  if (uid === process.getuid?.() && !isRoot) return accountForNewCluster()
  if (isRoot && uid !== 0) return { name: `the owner of ${cluster} (uid ${uid})`, uid, gid }
  const wayOut = isRoot ? `chown -R ${(await accountForNewCluster()).name} ${cluster}` : 'start the server as that user'
  throw new Error(`${cluster} belongs to uid ${uid}, as whom PostgreSQL cannot be run from here: ${wayOut}`)
}

export function as(account: Account, deathSignal: 'INT' | 'KILL', program: string, args: readonly string[]): Command {
  const user = isRoot ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--no-new-privs'] : []
  return { program: 'setpriv', arguments: [...user, `--pdeathsig=${deathSignal}`, '--', program, ...args] }
}

/** Runs to the end and answers what was printed; a failure carries the program's own words. */
export async function run({ program, arguments: args }: Command, input = '', cwd = '/'): Promise<string> {
  const running = promisify(execFile)(program, args, { env: environment, cwd })
  running.child.stdin?.on('error', () => {}) // it may end without having read; then its exit code says how it went
  running.child.stdin?.end(input)
  return (await running).stdout
}

/** May `account` pass this directory, or run this program? Asked of the kernel, which alone knows about ACLs. */
export async function mayUse(account: Account, path: string): Promise<boolean> {
  return run(as(account, 'KILL', 'test', ['-x', path])).then(
    () => true,
    () => false,
  )
}

export async function requirePassage(account: Account, directory: string): Promise<void> {
  if (await mayUse(account, directory)) return
  let blocked = directory
  while (blocked !== '/' && !(await mayUse(account, dirname(blocked)))) blocked = dirname(blocked)
  throw new Error(
    `PostgreSQL cannot reach ${directory}: it does not run as root but as ${account.name}, who may not pass ${blocked}. ` +
      `Choose a directory elsewhere, such as /var/lib/ramet, or allow it with: chmod o+x ${blocked}`,
  )
}
