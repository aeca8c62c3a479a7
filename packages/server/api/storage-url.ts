// Where storage is, as clients write it: file:///path, SharedMountPoint:///path. Folders of the hosts only, by an absolute
// path without surprises in it: the server makes folders there, as root.
import { isAbsolute, normalize } from 'node:path'
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
export function overlap(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`)
}
