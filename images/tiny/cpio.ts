// Writes a cpio archive ("newc"), the format of an initial RAM disk. It is a fixed header per file, so we write it here and
// need neither the cpio tool nor fakeroot: every file simply belongs to root.

import { lstat, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { walk } from './files.ts'

const kinds = { directory: 0o040000, file: 0o100000, link: 0o120000 }

export async function cpioOf(directory: string): Promise<Buffer> {
  const parts: Buffer[] = []
  let serial = 0
  const add = (path: string, mode: number, content: Buffer) => {
    serial += 1
    const name = Buffer.from(`${path}\0`)
    const nlink = 1
    const fields = [serial, mode, 0, 0, nlink, 0, content.length, 0, 0, 0, 0, name.length, 0]
    const header = `070701${fields.map(field => field.toString(16).padStart(8, '0')).join('')}`
    parts.push(padded(Buffer.concat([Buffer.from(header), name])), padded(content))
  }
  for (const path of await walk(directory)) {
    const file = join(directory, path)
    const stat = await lstat(file)
    if (stat.isDirectory()) add(path, kinds.directory | 0o755, Buffer.alloc(0))
    else if (stat.isSymbolicLink()) add(path, kinds.link | 0o777, Buffer.from(await readlink(file)))
    else add(path, kinds.file | (stat.mode & 0o777), await readFile(file))
  }
  add('TRAILER!!!', 0, Buffer.alloc(0))
  return Buffer.concat(parts)
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)])
}
