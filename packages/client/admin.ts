// The administrator that a server's first start made, as its data directory keeps it.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isFields } from './api-error.ts'

export interface Admin {
  readonly url: string
  readonly username: string
  readonly password: string
  readonly apikey: string
  readonly secretkey: string
}

export async function readAdmin(dataDir: string): Promise<Admin> {
  const file = join(dataDir, 'admin.json')
  const fields: unknown = JSON.parse(await readFile(file, 'utf8'))
  const text = (name: keyof Admin) => {
    const value = isFields(fields) ? fields[name] : undefined
    if (typeof value === 'string') return value
    throw new Error(`${file} has no ${name}`)
  }
  return {
    url: text('url'),
    username: text('username'),
    password: text('password'),
    apikey: text('apikey'),
    secretkey: text('secretkey'),
  }
}
