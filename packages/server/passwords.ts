// Passwords for guests. Only the crypt(3) hash reaches a machine; the password itself is sealed until its owner asks.
// Hashing takes some milliseconds and a process, so a few pairs are made ahead, in quiet moments.
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { text } from 'node:stream/consumers'
import type { Secrets } from './secrets.ts'

export interface GuestPassword {
  readonly sealed: string
  readonly hash: string
}

export interface Passwords {
  take(): Promise<GuestPassword>
  /** The pair for a password that somebody chose. */
  of(password: string): Promise<GuestPassword>
  reveal(sealed: string): string
}

const stock = 8
const restMs = 500

export function createPasswords(secrets: Secrets): Passwords {
  const ready: GuestPassword[] = []
  const of = async (password: string) => ({ sealed: secrets.seal(password), hash: await cryptHash(password) })
  let refill: NodeJS.Timeout | undefined

  /** Waits for a quiet moment: a process started now would slow down the deployment that has just asked. */
  function refillSoon(afterMs: number): void {
    clearTimeout(refill)
    refill = setTimeout(() => {
      // A deployment that finds nothing makes its own, and fails with the reason.
      makeOne().catch(() => {})
    }, afterMs)
    refill.unref()
  }

  async function makeOne(): Promise<void> {
    if (ready.push(await of(randomPassword())) < stock) refillSoon(0)
  }

  refillSoon(0)
  return {
    of,
    reveal: secrets.unseal,
    async take() {
      refillSoon(restMs)
      return ready.pop() ?? of(randomPassword())
    },
  }
}

// No letters that look like others: people type these into consoles.
const alphabet = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'

function randomPassword(): string {
  return Array.from({ length: 14 }, () => alphabet[randomInt(alphabet.length)]).join('')
}

/** SHA-512 crypt by the openssl program: the password goes through a pipe, never through a process list. */
async function cryptHash(password: string): Promise<string> {
  const openssl = spawn('openssl', ['passwd', '-6', '-stdin'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const failed = new Promise<never>((_, reject) => openssl.once('error', reject))
  openssl.stdin.on('error', () => {}) // a program that ends early is found out by its output
  openssl.stdin.end(`${password}\n`)
  const hash = (await Promise.race([text(openssl.stdout), failed])).trim()
  if (!hash.startsWith('$6$')) throw new Error('openssl passwd gave no SHA-512 crypt hash')
  return hash
}
