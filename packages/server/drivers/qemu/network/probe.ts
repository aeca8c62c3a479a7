// Whether this host can have guest networks: tried at the start, and told by listHosts and doctor.
import { access, constants, readFile } from 'node:fs/promises'
import { lastLine, runTool } from '../process/tools.ts'
import { isOrdinary } from './keeper.ts'
import { carrier } from './user-way-out.ts'

const tools = {
  ...{ ip: 'iproute2', nft: 'nftables', dnsmasq: 'dnsmasq-base', perl: 'perl-base', nsenter: 'util-linux' },
  ...{ unshare: 'util-linux', mount: 'mount' },
}

/** What a network needs, in namespaces that are gone with the shell. */
const trial = `
ip link add br0 type bridge
ip tuntap add mode tap dev t0
nft 'add table bridge guard; add chain bridge guard sent { type filter hook prerouting priority -300; }'
`

/** What distributions keep ordinary users from user namespaces with, and what an administrator can do. */
const locks = [
  ['kernel/unprivileged_userns_clone', '0', 'sysctl kernel.unprivileged_userns_clone=1'],
  ['kernel/apparmor_restrict_unprivileged_userns', '1', 'sysctl kernel.apparmor_restrict_unprivileged_userns=0'],
  ['user/max_user_namespaces', '0', 'sysctl user.max_user_namespaces=10000'],
] as const

/** How networks are kept apart, or why there can be none: as listHosts and doctor tell it. */
export async function networkKind(refusal: string | null): Promise<string> {
  if (refusal !== null) return `none: ${refusal}`
  if (!isOrdinary) return 'namespaces'
  return (await isHere(carrier)) ? 'user-namespaces' : `user-namespaces, without ways out: install ${carrier}`
}

const isHere = async (tool: string) => (await runTool('which', [tool], { identity: null })).code === 0

/** Why it cannot, with the way out; null when it can. */
export async function networkRefusal(): Promise<string | null> {
  const missing = await packagesMissing()
  if (missing.length > 0) return `Networks for guests need programs that are not here; install ${missing.join(', ')}`
  return (await deviceRefusal()) ?? (await kernelRefusal())
}

async function deviceRefusal(): Promise<string | null> {
  const device = '/dev/net/tun'
  const may = (mode: number) =>
    access(device, mode).then(
      () => true,
      () => false,
    ) // prettier-ignore
  if (!(await may(constants.F_OK))) return `There is no ${device}; load the kernel module tun`
  if (await may(constants.R_OK | constants.W_OK)) return null
  return `${device} is not open to this user; as root, do what udev does elsewhere: chmod 666 ${device}`
}

async function kernelRefusal(): Promise<string | null> {
  const kinds = isOrdinary ? ['--user', '--map-root-user', '--mount', '--net'] : ['--net']
  const words = [...kinds, '--', 'sh', '-ec', trial]
  const { code, stderr } = await runTool('unshare', words, { identity: null, timeoutMs: 20_000 })
  if (code === 0) return null
  const why = `The kernel refuses networks for guests: ${lastLine(stderr)}`
  const ways = isOrdinary ? await unlocking() : []
  return ways.length > 0
    ? `${why}; ordinary users may not make namespaces here, until root calls ${ways.join(', ')}`
    : why
}

async function unlocking(): Promise<string[]> {
  const found = await Promise.all(
    locks.map(async ([file, locked, way]) => {
      const value = (await readFile(`/proc/sys/${file}`, 'utf8').catch(() => '')).trim()
      return value === locked ? [way] : []
    }),
  )
  return found.flat()
}

async function packagesMissing(): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(tools).map(async ([tool, name]) => ((await isHere(tool)) ? [] : [name])),
  )
  return [...new Set(found.flat())]
}
