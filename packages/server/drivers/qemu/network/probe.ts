// Whether this host can have guest networks: tried at the start, and told by listHosts and doctor.
import { access } from 'node:fs/promises'
import { server } from '../privileges.ts'
import { lastLine, runTool } from '../tools.ts'

const tools = { ip: 'iproute2', nft: 'nftables', dnsmasq: 'dnsmasq-base', perl: 'perl-base', nsenter: 'util-linux' }

/** Why it cannot, with the way out; null when it can. */
export async function networkRefusal(): Promise<string | null> {
  if (server.uid !== 0) return 'The server does not run as root, and only root can make networks for guests'
  const missing = await packagesMissing()
  if (missing.length > 0) return `Networks for guests need programs that are not here; install ${missing.join(', ')}`
  const device = await access('/dev/net/tun').then(
    () => true,
    () => false,
  )
  if (!device) return 'There is no /dev/net/tun; load the kernel module tun'
  // In a namespace that is gone with the tool.
  const words = [
    '--net',
    'nft',
    'add table bridge guard; add chain bridge guard sent { type filter hook prerouting priority -300; }',
  ]
  const tried = await runTool('unshare', words, { identity: null, timeoutMs: 20_000 })
  return tried.code === 0 ? null : `The kernel refuses networks for guests: ${lastLine(tried.stderr)}`
}

async function packagesMissing(): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(tools).map(async ([tool, name]) => {
      const { code } = await runTool('which', [tool], { identity: null })
      return code === 0 ? [] : [name]
    }),
  )
  return found.flat()
}
