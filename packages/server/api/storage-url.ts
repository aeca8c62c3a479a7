// Where storage is, as clients write it: file:///path, SharedMountPoint:///path. Folders of the hosts only, by an absolute
// path without surprises in it: the server makes folders there, as root.
import { isAbsolute, join, normalize } from 'node:path'
import { Problem } from '@ramet/core/problem.ts'
import { sql } from 'kysely'
import type { App } from '../app.ts'
import type { Tx } from '../store/database.ts'
import { invalid } from './parameters.ts'

export const poolTypes = { file: 'Filesystem', sharedmountpoint: 'SharedMountPoint' } as const

export interface StorageFolder {
  readonly type: (typeof poolTypes)[keyof typeof poolTypes]
  readonly path: string
}

export function storageFolder(name: string, url: string): StorageFolder {
  const [, scheme = '', host = '', path = ''] = url.match(/^([a-z]+):\/\/([^/]*)(\/.*)$/i) ?? []
  const type = poolTypes[scheme.toLowerCase() as keyof typeof poolTypes]
  if (!type)
    throw invalid(name, `must be file:///path or SharedMountPoint:///path, a folder of the hosts; it is "${url}"`)
  if (host !== '' && host !== 'localhost')
    throw invalid(name, `names the host ${host}; give a path on every host instead`)
  return { type, path: plainPath(name, path) }
}

/** An absolute folder, written without dots, doubled slashes or a slash at its end. */
export function plainPath(name: string, path: string): string {
  const plain = path.length > 1 ? path.replace(/\/+$/, '') : path
  if (!isAbsolute(plain) || normalize(plain) !== plain || plain === '/')
    throw invalid(name, `must name an absolute folder below /, without . or .. in it; it is "${path}"`)
  if (/[,"\\]/.test(plain)) throw invalid(name, 'has commas, quotes or backslashes in its path; choose another folder')
  return plain
}

/** Whether one folder is, or lies in, the other. */
function overlap(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`)
}

/** No pool lies in another, nor in a secondary storage, nor around one; nor among the machines' own files. */
export async function demandOwnFolder(tx: Tx, { config }: App, path: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('ramet.storage-folders'))`.execute(tx)
  const { rows } = await sql<{ name: string; path: string }>`
    select name, path from storage_pool union all select name, path from image_store where removed is null`.execute(tx)
  const machines = { name: 'virtual machines', path: join(config.dataDir, 'vms') }
  const other = [...rows, machines].find(each => overlap(each.path, path))
  if (other)
    throw new Problem(
      'refused',
      'folder-overlaps',
      `Parameter url: ${path} is, or overlaps, the folder of ${other.name} (${other.path})`,
    )
}
