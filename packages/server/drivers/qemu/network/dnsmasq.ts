// Addresses and names in a network: one dnsmasq in its namespace, which knows nobody but the members. It keeps no leases of its own:
// each card has one address for good. It outlives the server; where it was ended, it is started again.
import { spawn } from 'node:child_process'
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NetworkSpec } from '../../networks.ts'
import { tailOf } from '../machines/console.ts'
import { type ProcessId, isAlive, killAndWait, processAt } from '../process/process.ts'
import { problems } from '../problems.ts'
import { lastLine, toolEnvironment } from '../process/tools.ts'
import { writeWhole } from '../../../write-whole.ts'
import { type Member, type NetworkFolder, readPlan } from './folder.ts'
import { inside, isOrdinary } from './keeper.ts'
import { bridge } from './segment.ts'
import { parseSubnet } from './subnet.ts'
import { nameServer } from './user-way-out.ts'

const startLimitMs = 10_000
const endLimitMs = 5000
/**
 * Root's becomes a user of its own. In a user namespace there is none that it could become, and no groups to leave: without a name of a
 * group it does not try, and the rights that it needs are all it gets.
 */
const user = isOrdinary ? ['--user=root', '--group='] : ['--user=dnsmasq', '--group=nogroup']
/**
 * Cards that are not their machine's default one; an option without a value is not told. As words of the program, since dnsmasq 2.90 crashes
 * when it is to read leases again of which one has a tag.
 */
const aside = 'aside'
const isAside = ({ isDefault = true }: Member) => !isDefault
const asideWord = ({ mac }: Member) => `--dhcp-mac=set:${aside},${mac}`
const needed = '--bounding-set=-all,+net_admin,+net_raw,+net_bind_service'
const rights = isOrdinary ? ['setpriv', '--no-new-privs', '--inh-caps=-all', needed, '--'] : []

const outerNames = isOrdinary ? ['--no-resolv', `--server=${nameServer}`] : ['--resolv-file=/etc/resolv.conf']

/** The one that serves the network; null when none does. */
export async function servingProcess(folder: NetworkFolder): Promise<ProcessId | null> {
  const pid = Number(await readFile(folder.pid, 'utf8').catch(() => ''))
  const found = pid ? processAt(pid) : null
  if (!found) return null
  return (await wordsOf(found)).includes(`--pid-file=${folder.pid}`) ? found : null
}

async function wordsOf({ pid }: ProcessId): Promise<string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0')
}

/** Fulfils when it serves. One that serves already is left alone. */
export async function serve(folder: NetworkFolder, spec: NetworkSpec, members: readonly Member[]): Promise<ProcessId> {
  const known = await servingProcess(folder)
  if (known) return known
  await rm(folder.pid, { force: true })
  await rm(folder.former, { force: true }) // it will know of nobody
  const log = await open(folder.log, 'w', 0o600)
  const [program = '', ...way] = inside(folder.directory, folder.namespaceFile)
  const child = spawn(program, [...way, ...rights, 'dnsmasq', ...dnsmasqArguments(folder, spec, members)], {
    env: toolEnvironment,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  child.unref()
  child.on('error', () => {}) // seen below: there is no process
  await log.close()
  const process = child.pid === undefined ? null : processAt(child.pid)
  for (let waited = 0; process && isAlive(process) && waited < startLimitMs; waited += 2) {
    const serving = await servingProcess(folder)
    if (serving) return serving
    await sleep(2)
  }
  throw problems.networkFailed(spec.id, lastLine((await tailOf(folder.log, 4096)).toString('utf8')))
}

function dnsmasqArguments(
  folder: NetworkFolder,
  { cidr, domain, outward }: NetworkSpec,
  members: readonly Member[],
): string[] {
  const subnet = parseSubnet(cidr)
  return [
    ...['--conf-file=/dev/null', '--keep-in-foreground', `--pid-file=${folder.pid}`, ...user],
    ...[`--interface=${bridge}`, '--bind-interfaces', '--log-facility=-', '--quiet-dhcp'],
    ...[`--dhcp-range=${subnet?.network},static,${subnet?.netmask},12h`, `--dhcp-hostsfile=${folder.leases}`],
    // Whoever asks for an address that he was given earlier gets it, although nothing is written down of it.
    ...['--dhcp-authoritative', '--leasefile-ro', '--no-ping'],
    ...members.filter(isAside).map(asideWord),
    ...['router', 'dns-server'].map(option => `--dhcp-option=tag:${aside},option:${option}`),
    // Who gets out may ask for names out there, as the host does.
    ...(outward ? outerNames : ['--no-resolv']),
    ...['--no-hosts', `--addn-hosts=${folder.names}`, '--bogus-priv'],
    ...(domain === null ? [] : [`--domain=${domain}`, `--local=/${domain}/`, '--expand-hosts']),
  ]
}

/** The address is nobody's any more. dnsmasq keeps it for whoever had it, in its memory, for the time of a lease. */
export async function giveUp(folder: NetworkFolder, address: string): Promise<void> {
  const former = (await readPlan<string[]>(folder.former)) ?? []
  await writeWhole(folder.former, JSON.stringify([...new Set([...former, address])]))
}

/** Has it forget who had the address before. */
export async function serveAnew(
  folder: NetworkFolder,
  spec: NetworkSpec,
  members: readonly Member[],
  address: string,
): Promise<void> {
  if ((await readPlan<string[]>(folder.former))?.includes(address)) await restart(folder, spec, members)
}

async function restart(folder: NetworkFolder, spec: NetworkSpec, members: readonly Member[]): Promise<void> {
  await stopServing(folder)
  await serve(folder, spec, members)
}

/** Writes what it shall know of the members, and has it read that. */
export async function tell(folder: NetworkFolder, spec: NetworkSpec, members: readonly Member[]): Promise<void> {
  await Promise.all([
    agree(folder.leases, members, ({ mac, address, name }) => `${mac},${address},${name}\n`),
    agree(folder.names, members, ({ address, name }) => `${address} ${name}\n`),
  ])
  const serving = await servingProcess(folder)
  if (!serving || !isAlive(serving)) return
  const words = new Set(await wordsOf(serving))
  const agrees = members.every(member => words.has(asideWord(member)) === isAside(member))
  if (!agrees) await restart(folder, spec, members)
  else if (isAlive(serving)) process.kill(serving.pid, 'SIGHUP')
}

async function agree(directory: string, members: readonly Member[], line: (member: Member) => string): Promise<void> {
  const there = await readdir(directory)
  const gone = there.filter(name => !members.some(({ nic }) => nic === name))
  await Promise.all([
    ...gone.map(name => rm(join(directory, name), { force: true })),
    ...members.map(member => writeFile(join(directory, member.nic), line(member), { mode: 0o644 })),
  ])
}

export async function stopServing(folder: NetworkFolder): Promise<void> {
  const serving = await servingProcess(folder)
  if (serving && !(await killAndWait(serving, endLimitMs)))
    throw problems.networkFailed(folder.id, 'dnsmasq does not end')
}
