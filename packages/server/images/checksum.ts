// Checksums as CloudStack writes them: `{SHA-256}` and hex digits, or bare hex digits, which mean MD5.
import { createHash, type Hash } from 'node:crypto'
import { Problem } from '@ramet/core/problem.ts'

const algorithms: Record<string, { readonly name: string; readonly digits: number }> = {
  MD5: { name: 'md5', digits: 32 },
  SHA1: { name: 'sha1', digits: 40 },
  SHA224: { name: 'sha224', digits: 56 },
  SHA256: { name: 'sha256', digits: 64 },
  SHA384: { name: 'sha384', digits: 96 },
  SHA512: { name: 'sha512', digits: 128 },
}

export interface Check {
  update(bytes: Uint8Array): void
  /** Throws when what was seen is not what was promised. */
  conclude(): void
}

const unchecked: Check = { update: () => {}, conclude: () => {} }

/** A check against `checksum`, or one that is content with anything where there is none. */
export function openCheck(checksum: string | null): Check {
  if (checksum === null || checksum.trim() === '') return unchecked
  const { algorithm, digest } = parseChecksum(checksum)
  const hash: Hash = createHash(algorithm)
  return {
    update: bytes => void hash.update(bytes),
    conclude() {
      const found = hash.digest('hex')
      if (found !== digest) throw mismatch(algorithm, digest, found)
    },
  }
}

export function parseChecksum(checksum: string): { algorithm: string; digest: string } {
  const [, name = 'MD5', digest = ''] = /^(?:\{([\w-]+)\})?([0-9a-f]+)$/i.exec(checksum.trim()) ?? []
  const algorithm = algorithms[name.toUpperCase().replace('-', '')]
  if (algorithm?.digits !== digest.length) {
    throw new Problem(
      'invalid',
      'checksum-malformed',
      `"${checksum}" is not a checksum; write {SHA-256} (or MD5, SHA-1, SHA-512 in braces) and its hex digits`,
    )
  }
  return { algorithm: algorithm.name, digest: digest.toLowerCase() }
}

function mismatch(algorithm: string, wanted: string, found: string): Problem {
  return new Problem(
    'invalid',
    'checksum-mismatch',
    `The ${algorithm} checksum of the image is ${found}, not ${wanted}; check that the URL and the checksum belong together`,
  )
}
