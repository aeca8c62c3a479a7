// Sockets that listen before QEMU exists. The server binds them and hands them over as open files, so that it can connect
// at once instead of trying again and again, and so that the machine's process needs no folder in which it could put a link
// to another machine's socket in their place.
import { chmod, link, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { problems } from '../problems.ts'

export interface Listening {
  /** To be inherited. */
  readonly fd: number
  /** Closes this process's copy; whoever inherited the socket goes on listening at its path. */
  release(): void
}

export async function listenFor(path: string): Promise<Listening> {
  const first = `${path}.new`
  await Promise.all([rm(path, { force: true }), rm(first, { force: true })])
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(first, () => resolve())
  })
  // Closing a server removes the name it was bound to, so its lasting name is another link to the same socket.
  await chmod(first, 0o600)
  await link(first, path)
  return { fd: fdOf(server), release: () => void server.close() }
}

/** Node has no public way to ask; it uses this one itself to hand a server to a child (lib/internal/child_process.js). */
function fdOf(server: object): number {
  const handle: unknown = '_handle' in server ? server._handle : null
  const fd = handle !== null && typeof handle === 'object' && 'fd' in handle ? handle.fd : null
  if (typeof fd !== 'number' || fd < 0)
    throw problems.startFailed('this Node.js does not tell the number of a listening socket')
  return fd
}
