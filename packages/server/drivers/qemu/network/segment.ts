// A network in the kernel: a namespace of its own with a bridge in it. It is pinned by its name, so it outlives every process; it
// shares no link with the host, so nothing passes from one to another, and the same addresses may be in use in each.
import { readFile, rm, statfs } from 'node:fs/promises'
import type { NetworkSpec } from '../../networks.ts'
import { runTool } from '../tools.ts'
import { problems } from '../problems.ts'
import type { Member, NetworkFolder } from './folder.ts'
import { guardRules } from './guard.ts'
import { parseSubnet } from './subnet.ts'

export const bridge = 'br0'
/** The same in every network, for ever: guests remember it. */
const gatewayMac = '02:52:61:6d:65:74'
const nsfs = 0x6e736673

export async function isNamespace({ namespaceFile }: NetworkFolder): Promise<boolean> {
  const found = await statfs(namespaceFile).catch(() => null)
  return found?.type === nsfs
}

/** Makes what is missing. `inside`: a process in a namespace whose name was taken away; it gets its name back. */
export async function makeSegment(folder: NetworkFolder, inside: number | null): Promise<void> {
  if (await isNamespace(folder)) return
  await rm(folder.namespaceFile, { force: true }) // a name that was made, and not yet pinned
  if (inside === null) await tool('ip', ['netns', 'add', folder.namespace])
  else await tool('ip', ['netns', 'attach', folder.namespace, String(inside)])
}

export async function furnish(folder: NetworkFolder, spec: NetworkSpec, members: readonly Member[]): Promise<void> {
  const prefix = parseSubnet(spec.cidr)?.prefix
  const made = await run('ip', ['-n', folder.namespace, 'link', 'add', bridge, 'type', 'bridge'])
  if (made.code !== 0 && !made.stderr.includes('File exists')) throw problems.toolFailed('ip', made.stderr.trim())
  const settings = `
link set lo up
link set ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0
link set ${bridge} address ${gatewayMac} up
addr replace ${spec.gateway}/${prefix} dev ${bridge}
`
  await tool('ip', ['-n', folder.namespace, '-batch', '-'], settings)
  await guard(folder, guardRules(members))
}

export async function guard(folder: NetworkFolder, rules: string): Promise<void> {
  await tool('nsenter', [`--net=${folder.namespaceFile}`, 'nft', '-f', '-'], rules)
}

export async function removeSegment(folder: NetworkFolder): Promise<void> {
  if (await isNamespace(folder)) await tool('ip', ['netns', 'delete', folder.namespace])
  else await rm(folder.namespaceFile, { force: true })
}

/** The taps that machines hold, as the kernel lists them for a process inside. */
export async function tapsSeenBy(pid: number): Promise<string[]> {
  const lines = (await readFile(`/proc/${pid}/net/dev`, 'utf8')).split('\n')
  return lines.flatMap(line => /^\s*(r[ab][0-9a-f]{12}):/.exec(line)?.[1] ?? [])
}

const run = (name: string, args: string[], input?: string) =>
  runTool(name, args, { identity: null, timeoutMs: 20_000, ...(input !== undefined && { input }) })

async function tool(name: string, args: string[], input?: string): Promise<void> {
  const { code, stderr } = await run(name, args, input)
  if (code !== 0) throw problems.toolFailed(name, stderr.trim().split('\n')[0] ?? '')
}
