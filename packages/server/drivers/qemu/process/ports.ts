// Ports of 127.0.0.1 for forwarding SSH. That a port is free is only known while one holds it: between our look and QEMU's
// bind another process may take it, and the start is then tried again with another.
import { createServer } from 'node:net'
import type { NicId } from '@ramet/core/ids.ts'
import type { NicSpec } from '../../driver.ts'

export type SshPorts = Readonly<Record<NicId, number>>

/** For each NIC that QEMU itself forwards to, the port it had, where that is free, or another. `avoid`: ports that QEMU failed to bind. */
export async function choosePorts(nics: readonly NicSpec[], avoid: ReadonlySet<number>): Promise<SshPorts> {
  const own = nics.filter(nic => nic.kind === 'user-nat' && !nic.silent)
  const ports = await Promise.all(own.map(async ({ id, sshPort }) => [id, await choosePort(sshPort, avoid)] as const))
  return Object.fromEntries(ports) as SshPorts
}

export async function choosePort(wanted: number | null, avoid: ReadonlySet<number>): Promise<number> {
  const kept = wanted && !avoid.has(wanted) ? await tryPort(wanted) : null
  return kept ?? (await tryPort(0)) ?? (await choosePort(null, avoid))
}

/** The port, or the one that the system chose for 0; null when it is taken. */
function tryPort(port: number): Promise<number | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(address && typeof address === 'object' ? address.port : null))
    })
  })
}

const hostForward = /hostfwd=tcp:127\.0\.0\.1:(\d+)-/

/** The ports that a command line of ours forwards, for a process whose record was never written. */
export function portsFromArguments(args: readonly string[]): SshPorts {
  const found = args.flatMap(arg => {
    const nic = /^user,id=nic-([0-9a-f-]{36}),/.exec(arg)?.[1]
    const port = hostForward.exec(arg)?.[1]
    return nic && port ? [[nic, Number(port)] as const] : []
  })
  return Object.fromEntries(found) as SshPorts
}

/** The port in QEMU's complaint that it could not be forwarded (net/slirp.c); null when it complains of something else. */
export function portRefused(stderr: string): number | null {
  const port = /Could not set up host forwarding rule '[^']*:(\d+)-/.exec(stderr)?.[1]
  return port ? Number(port) : null
}
