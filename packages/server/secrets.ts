// What must be readable again but not by whoever finds the database: sealed with a key that lives in a file of its own.
import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { writeWhole } from './write-whole.ts'

export interface Secrets {
  seal(text: string): string
  unseal(sealed: string): string
}

/** Reads the key file, or makes it at first start. Servers that share a database share the key. */
export async function openSecrets(file: string): Promise<Secrets> {
  const key = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return makeKey(file)
    throw error // never replaced by another: what it sealed would be lost
  })
  return {
    seal(text) {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv)
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64')
    },
    unseal(sealed) {
      const all = Buffer.from(sealed, 'base64')
      const decipher = createDecipheriv('aes-256-gcm', key, all.subarray(0, 12))
      decipher.setAuthTag(all.subarray(12, 28))
      return Buffer.concat([decipher.update(all.subarray(28)), decipher.final()]).toString('utf8')
    },
  }
}

async function makeKey(file: string): Promise<Buffer> {
  const key = randomBytes(32)
  await writeWhole(file, key)
  return key
}

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  return `scrypt:${salt.toString('base64')}:${(await derive(password, salt, 32)).toString('base64')}`
}

export async function passwordMatches(password: string, hash: string): Promise<boolean> {
  const [, salt = '', expected = ''] = hash.split(':')
  return sameBytes(await derive(password, Buffer.from(salt, 'base64'), 32), Buffer.from(expected, 'base64'))
}

/** Compares in constant time. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** A secret that people carry: `bytes` random ones in the URL-safe alphabet. */
export function randomToken(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
