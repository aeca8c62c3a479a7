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

const stock = 16
const restMs = 500

export function createPasswords(secrets: Secrets): Passwords {
  const ready: GuestPassword[] = []
  let refill: NodeJS.Timeout | undefined
  let making: Promise<void> | null = null

  async function pairs(passwords: readonly string[]): Promise<GuestPassword[]> {
    const hashes = await cryptHashes(passwords)
    return passwords.map((password, index) => ({ sealed: secrets.seal(password), hash: hashes[index] as string }))
  }

  /** One process makes all that are missing; whoever finds none meanwhile waits for the same one. */
  function makeStock(): Promise<void> {
    return (making ??= pairs(Array.from({ length: stock - ready.length }, randomPassword))
      .then(made => void ready.push(...made))
      .finally(() => {
        making = null
      }))
  }

  /** Waits for a quiet moment: a process started now would slow down the deployment that has just asked. */
  function refillSoon(afterMs: number): void {
    clearTimeout(refill)
    // A deployment that finds nothing makes its own, and fails with the reason.
    refill = setTimeout(() => void makeStock().catch(() => {}), afterMs)
    refill.unref()
  }

  refillSoon(0)
  return {
    of: async password => (await pairs([password]))[0] as GuestPassword,
    reveal: secrets.unseal,
    async take() {
      refillSoon(restMs)
      for (;;) {
        const pair = ready.pop()
        if (pair) return pair
        await makeStock()
      }
    },
  }
}

// No letters that look like others: people type these into consoles.
const alphabet = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'

function randomPassword(): string {
  return Array.from({ length: 14 }, () => alphabet[randomInt(alphabet.length)]).join('')
}

/** SHA-512 crypt by the openssl program: the passwords go through a pipe, never through a process list. */
async function cryptHashes(passwords: readonly string[]): Promise<string[]> {
  const openssl = spawn('openssl', ['passwd', '-6', '-stdin'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const failed = new Promise<never>((_, reject) => openssl.once('error', reject))
  openssl.stdin.on('error', () => {}) // a program that ends early is found out by its output
  openssl.stdin.end(passwords.map(password => `${password}\n`).join(''))
  const hashes = (await Promise.race([text(openssl.stdout), failed])).trim().split('\n')
  if (hashes.length !== passwords.length || !hashes.every(hash => hash.startsWith('$6$')))
    throw new Error('openssl passwd gave no SHA-512 crypt hashes')
  return hashes
}
