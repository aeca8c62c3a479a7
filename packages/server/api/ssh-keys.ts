// SSH public keys: reading what people paste, naming them by fingerprint, and making a new pair.
// Format: RFC 4253 section 6.6 (ssh-rsa), RFC 5656 (ecdsa), RFC 8709 (ed25519); one line `type base64 comment`.
import { createHash, createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { invalid } from './parameters.ts'

export interface PublicKey {
  readonly line: string
  /** MD5 of the key in pairs of hex digits, as CloudStack shows it and `ssh-keygen -E md5 -l` too. */
  readonly fingerprint: string
}

/** Parts of the key after its type, for each type. */
const partsOf: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
}

/** Throws a Problem that names `parameter` when `text` is no public key of one line. */
export function readPublicKey(parameter: string, text: string): PublicKey {
  const line = text.trim()
  if (line.includes('PRIVATE KEY')) throw invalid(parameter, 'is a private key; give the public one, and keep this one')
  if (/[\n\r]/.test(line)) throw invalid(parameter, 'must be a single public key on a single line')
  const [type = '', base64 = ''] = line.split(/\s+/)
  const parts = partsOf[type]
  if (parts === undefined) throw invalid(parameter, `must begin with one of ${Object.keys(partsOf).join(', ')}`)
  const blob = Buffer.from(base64, 'base64')
  const [named, ...rest] = stringsIn(blob) ?? []
  const whole = blob.toString('base64') === base64 && named?.toString('latin1') === type && rest.length === parts
  if (!whole) throw invalid(parameter, `is damaged: the part after "${type}" is not such a key`)
  return { line, fingerprint: fingerprintOf(blob) }
}

/** The length-prefixed strings that make up `blob`, or null when they do not end with it. */
function stringsIn(blob: Buffer): Buffer[] | null {
  const found: Buffer[] = []
  let at = 0
  while (at < blob.length) {
    if (at + 4 > blob.length) return null
    const end = at + 4 + blob.readUInt32BE(at)
    if (end > blob.length) return null
    found.push(blob.subarray(at + 4, end))
    at = end
  }
  return found
}

function fingerprintOf(blob: Buffer): string {
  return (createHash('md5').update(blob).digest('hex').match(/../g) ?? []).join(':')
}

const makePair = promisify(generateKeyPair)

/** A new RSA pair: of the formats that node writes, PKCS#1 is the one that every SSH client reads. */
export async function makeKeyPair(name: string): Promise<PublicKey & { privateKey: string }> {
  const { privateKey } = await makePair('rsa', { modulusLength: 3072 })
  const { n = '', e = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const blob = Buffer.concat([Buffer.from('ssh-rsa'), positive(e), positive(n)].map(prefixed))
  return {
    line: `ssh-rsa ${blob.toString('base64')} ${name.replaceAll(/\s+/g, '-')}`,
    fingerprint: fingerprintOf(blob),
    privateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
  }
}

/** A big-endian number whose highest bit is not its sign. */
function positive(base64url: string): Buffer {
  const bytes = Buffer.from(base64url, 'base64url')
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.of(0), bytes])
}

function prefixed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
