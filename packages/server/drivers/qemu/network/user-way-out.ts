// The way out of a network where the server is an ordinary user: slirp4netns, one process for each such network. It holds a tap in the network
// (up0), and opens for its machines the connections that they ask for, as a program of this user on the host: so it could reach the host's
// own addresses too. The network's rules drop what is for those before it gets there.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { writeWhole } from '../../../write-whole.ts'
import type { NetworkSpec } from '../../networks.ts'
import { tailOf } from '../machines/console.ts'
import { findPrograms, killAndWait } from '../process/process.ts'
import { lastLine, runTool, toolEnvironment } from '../process/tools.ts'
import { problems } from '../problems.ts'
import { type NetworkFolder, readPlan } from './folder.ts'
import { inside, isOrdinary, userNamespace } from './keeper.ts'

export const carrier = 'slirp4netns'
/** Its own addresses in each network; those of carriers (RFC 6598). By the third it is asked for names. */
const range = '100.64.0.0/24'
export const nameServer = '100.64.0.3'
const endLimitMs = 5000

/** Starts what is missing of it. */
export async function ensureCarrier(folder: NetworkFolder, link: string): Promise<void> {
  const within = inside(folder.directory, folder.namespaceFile)
  const [running] = await find(folder)
  if (running && (await run([...within, 'ip', 'link', 'show', link])).code === 0) return
  await endCarrier(folder)
  await start(folder, link)
  await run([...within, 'tee', '/proc/sys/net/ipv4/ip_forward'], '1')
}

export async function endCarrier(folder: NetworkFolder): Promise<void> {
  for (const each of await find(folder))
    if (!(await killAndWait(each, endLimitMs))) throw problems.noWayOut(`an earlier ${carrier} does not end`)
}

const find = (folder: NetworkFolder) => findPrograms(args => args[0] === carrier && args.includes(folder.namespaceFile))

/** It outlives the server; it has no rights but the user's own, and few system calls. */
async function start(folder: NetworkFolder, link: string): Promise<void> {
  const file = join(folder.path, `${carrier}.log`)
  const log = await open(file, 'w', 0o600)
  const child = spawn(
    carrier,
    [
      ...[
        '--configure',
        '--mtu=1500',
        `--cidr=${range}`,
        '--disable-host-loopback',
        '--enable-seccomp',
        '--ready-fd=3',
      ],
      ...['--netns-type=path', `--userns-path=${userNamespace(folder.directory)}`, folder.namespaceFile, link],
    ],
    { env: toolEnvironment, cwd: '/', detached: true, stdio: ['ignore', log.fd, log.fd, 'pipe'] },
  )
  child.unref()
  child.on('error', () => {}) // then it is never ready
  await log.close()
  const ready = child.stdio[3] as NodeJS.ReadableStream & { destroy(): void }
  const said = await Promise.race([once(ready, 'data'), once(ready, 'close').then(() => null)])
  ready.destroy()
  if (said) return
  if (child.pid === undefined) throw problems.noWayOut(`an ordinary user needs ${carrier} for it; install it`)
  throw problems.noWayOut(`${carrier} ended: ${lastLine((await tailOf(file, 4096)).toString('utf8'))}`)
}

/** What machines of the network must not reach by the carrier: ranges, as nftables takes them. */
export async function forbidden({ outward }: NetworkSpec): Promise<string[]> {
  if (!isOrdinary || !outward) return []
  return ['127.0.0.0/8', range, ...(outward === 'host-too' ? [] : await ownRanges())]
}

/** All that the host takes for itself, as its table of routes says. */
async function ownRanges(): Promise<string[]> {
  const table = await readFile('/proc/self/net/fib_trie', 'utf8')
  const leaves = table.matchAll(/\|-- ([\d.]+)\n((?: +\/\d+ .*\n)+)/g)
  const found = [...leaves].flatMap(([, address = '', kinds = '']) =>
    [...kinds.matchAll(/\/(\d+) \w+ (?:LOCAL|BROADCAST)/g)].map(([, length]) => `${address}/${length}`),
  )
  return [...new Set(found)].toSorted()
}

const plan = ({ path }: NetworkFolder) => join(path, 'host.json')

/** Notes what the network's rules were made with. */
export const noteForbidden = (folder: NetworkFolder, ranges: readonly string[]) =>
  ranges.length > 0 ? writeWhole(plan(folder), JSON.stringify(ranges)) : rm(plan(folder), { force: true })

/** Whether the network's rules know the host as it is now. */
export async function knowsHost(folder: NetworkFolder, spec: NetworkSpec): Promise<boolean> {
  const wanted = await forbidden(spec)
  return wanted.length === 0 || isDeepStrictEqual(await readPlan(plan(folder)), wanted)
}

const run = ([program = '', ...args]: readonly string[], input?: string) =>
  runTool(program, args, { identity: null, timeoutMs: 20_000, ...(input !== undefined && { input }) })
