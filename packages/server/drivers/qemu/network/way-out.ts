// The way out of a network that has one: a pair of linked interfaces, one end in the network (up0), the other on the host, and NAT at both.
// The network's end makes all its machines one address of a range for carriers (RFC 6598), so that networks with the same addresses do
// not meet on the host; the host makes that its own. What comes from a network gets past the host, but neither into it nor into another
// network. The host must forward (net.ipv4.ip_forward), which only its administrator decides. All this is root's; others have user-way-out.ts.
import { createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { NetworkId } from '@ramet/core/ids.ts'
import { addressText, rangeOf, isWithin } from '@ramet/core/ipv4.ts'
import { writeWhole } from '../../../write-whole.ts'
import type { NetworkSpec } from '../../networks.ts'
import { problems } from '../problems.ts'
import { runTool } from '../process/tools.ts'
import { Turns } from '../machines/turns.ts'
import { listNetworks, networkFolder, type NetworkFolder, readPlan } from './folder.ts'
import { inside, isOrdinary } from './keeper.ts'
import { endCarrier, ensureCarrier } from './user-way-out.ts'

export const uplink = 'up0'
const range = { ...(rangeOf('100.64.0.0/10') as NonNullable<ReturnType<typeof rangeOf>>), pairs: 2 ** 21 }
const turns = new Turns<string>()

/** `host` is a file that names the namespace in which the host is; null: this one. */
export class WayOut {
  readonly #directory: string
  readonly #host: readonly string[]
  readonly #mark: string

  constructor(directory: string, host: string | null) {
    this.#directory = directory
    this.#host = host === null ? [] : ['nsenter', `--net=${host}`, '--']
    this.#mark = createHash('sha256').update(directory).digest('hex').slice(0, 4)
  }

  /** Makes what is missing of it. */
  async ensure(folder: NetworkFolder, { outward }: NetworkSpec): Promise<void> {
    if (!outward) return
    if (isOrdinary) return ensureCarrier(folder, uplink)
    if ((await this.#onHost(['cat', '/proc/sys/net/ipv4/ip_forward'])).trim() !== '1')
      throw problems.noWayOut('this host does not forward; an administrator lets it by sysctl net.ipv4.ip_forward=1')
    await this.guard()
    const pair = await turns.take(this.#directory, () => this.#pairOf(folder))
    const [there, here] = [addressText(range.first + 2 * pair), addressText(range.first + 2 * pair + 1)]
    const link = this.#link(folder.id, outward === 'host-too')
    const within = inside(folder.directory, folder.namespaceFile)
    if ((await run([...within, 'ip', 'link', 'show', uplink])).code !== 0)
      await this.#onHost(['ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', uplink, 'netns', folder.namespace])
    await this.#onHost(['ip', '-batch', '-'], `addr replace ${there}/31 dev ${link}\nlink set ${link} up\n`)
    const settings = [
      `addr replace ${here}/31 dev ${uplink}`,
      `link set ${uplink} up`,
      `route replace default via ${there}`,
    ]
    await tool([...within, 'ip', '-batch', '-'], `${settings.join('\n')}\n`)
    await tool([...within, 'tee', '/proc/sys/net/ipv4/ip_forward'], '1')
  }

  /** Sees to it that the host lets by what it should, and nothing else; whoever empties its nftables does not open it to networks. */
  async guard(): Promise<void> {
    if ((await run([...this.#host, 'nft', 'list', 'table', 'inet', this.#table])).code === 0) return
    await this.#onHost(['nft', '-f', '-'], hostRules(this.#table, `r${this.#mark}`))
  }

  /** The same, where any network has a way out. */
  async keep(): Promise<void> {
    if ((await this.#plans()).length > 0) await this.guard()
  }

  /** Before the network itself goes. */
  async remove(folder: NetworkFolder): Promise<void> {
    if (isOrdinary) return endCarrier(folder)
    if ((await pairPlanned(folder)) === null) return
    for (const isOpen of [true, false]) await run([...this.#host, 'ip', 'link', 'del', this.#link(folder.id, isOpen)])
    await rm(plan(folder), { force: true })
    if ((await this.#plans()).length === 0) await run([...this.#host, 'nft', 'delete', 'table', 'inet', this.#table])
  }

  get #table(): string {
    return `ramet_${this.#mark}`
  }

  #link(id: NetworkId, isOpen: boolean): string {
    return `r${this.#mark}${isOpen ? 'h' : 'v'}${id.slice(0, 8)}`
  }

  /** The network's two addresses of the range, by number: nobody else's on this host, and written down before they are used. */
  async #pairOf(folder: NetworkFolder): Promise<number> {
    const known = await pairPlanned(folder)
    if (known !== null) return known
    const taken = new Set([...(await this.#plans()), ...(await this.#pairsInUse())])
    let pair = Number.parseInt(folder.id.slice(0, 8), 16) % range.pairs
    while (taken.has(pair)) pair = (pair + 1) % range.pairs
    await writeWhole(plan(folder), JSON.stringify({ pair }))
    return pair
  }

  async #plans(): Promise<number[]> {
    const ids = await listNetworks(this.#directory)
    const pairs = await Promise.all(ids.map(id => pairPlanned(networkFolder(this.#directory, id))))
    return pairs.filter(pair => pair !== null)
  }

  async #pairsInUse(): Promise<number[]> {
    const shown = (await this.#onHost(['ip', '-4', '-oneline', 'addr', 'show'])).matchAll(/inet ([\d.]+)/g)
    const addresses = [...shown].map(([, address = '']) => address).filter(address => isWithin(range, address))
    const numbers = addresses.map(address => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0))
    return numbers.map(number => (number - range.first) >> 1)
  }

  #onHost(words: readonly string[], input?: string): Promise<string> {
    return tool([...this.#host, ...words], input)
  }
}

/** As a process in the network sees it. */
export async function hasWayOut(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/net/dev`, 'utf8').catch(() => '')).includes(` ${uplink}:`)
}

const plan = ({ path }: NetworkFolder) => join(path, 'way-out.json')

async function pairPlanned(folder: NetworkFolder): Promise<number | null> {
  return (await readPlan<{ pair: number }>(plan(folder)))?.pair ?? null
}

function hostRules(table: string, links: string): string {
  return `
add table inet ${table}
delete table inet ${table}
table inet ${table} {
  chain arrived {
    type filter hook input priority -10; policy accept;
    iifname "${links}v*" drop
  }
  chain passing {
    type filter hook forward priority -10; policy accept;
    iifname "${links}*" oifname "${links}*" drop
    oifname "${links}*" ct state established,related accept
    oifname "${links}*" drop
  }
  chain leaving {
    type nat hook postrouting priority 100; policy accept;
    iifname "${links}*" masquerade
  }
}
`
}

const run = ([program = '', ...args]: readonly string[], input?: string) =>
  runTool(program, args, { identity: null, timeoutMs: 20_000, ...(input !== undefined && { input }) })

async function tool(words: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(words, input)
  if (code !== 0) throw problems.toolFailed(words.join(' '), stderr.trim().split('\n')[0] ?? '')
  return stdout
}
