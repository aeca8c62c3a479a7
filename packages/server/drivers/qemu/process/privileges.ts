// Who owns a machine's files and runs its process. A root server gives every account a user and group of its own, with no
// name and no other rights, so that a guest that breaks out of QEMU finds only its own account's disks. A server that is
// not root cannot, and runs all as itself.
import { chown } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Owner } from '../../driver.ts'

export interface Identity {
  readonly uid: number
  readonly gid: number
}

export interface Privileges {
  /** Null: everything runs as the server's own user. */
  account(owner: Owner): Identity | null
  /** For reading what strangers made. Not `nobody`: other services run as that and could be reached from there. */
  readonly stranger: Identity | null
}

export function privilegesOf(uidBase: number, serverUid: number): Privileges {
  if (serverUid !== 0) return { account: () => null, stranger: null }
  return {
    account: ({ accountNumber }) => same(uidBase + accountNumber),
    stranger: same(uidBase - 1),
  }
}

/** The server's own user. */
export const server: Identity = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }

function same(id: number): Identity {
  return { uid: id, gid: id }
}

/** Gives a file or folder to `identity`. */
export async function give(file: string | FileHandle, identity: Identity | null): Promise<void> {
  if (!identity) return
  if (typeof file === 'string') await chown(file, identity.uid, identity.gid)
  else await file.chown(identity.uid, identity.gid)
}

/** Arguments of setpriv(1) that leave a program nothing but its user: not even what a set-user-id file would give. */
export function dropped(identity: Identity | null): string[] {
  const always = ['--no-new-privs', '--inh-caps=-all']
  if (!identity) return always
  const { uid, gid } = identity
  return [...always, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--bounding-set=-all']
}
