import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { makeKeyPair, readPublicKey } from './ssh-keys.ts'

// Made and measured by ssh-keygen (OpenSSH 9.2).
const known = [
  {
    line: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKCd/U0gzBVXiaDePpjXlo1m5CCe/AkNOi8rXerJuUlQ a comment',
    fingerprint: '61:90:f3:40:77:ff:6e:f2:76:a0:00:63:aa:37:db:d2',
  },
  {
    line: 'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHsC9fezd6FO3GEhiJB/X0nLbZqx5Le7H1yS7ouCjbbRPE4+R7hkdgVIljGH4UXt+/jXqJK2Z0bSOJsEaFg891U= a comment',
    fingerprint: '77:0b:5e:40:86:e7:96:38:ad:42:81:7a:8c:f0:d4:35',
  },
  {
    line: 'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCs6Z0khr/XcuAmx4SkKJakXpsVKoscuhUNpvcrUt4Vhz80maXGv7pV18U6791bgZRUQNa/iRM0H9l6ond69mSHHUOENBFkTLQypYgjdgHOiZfgC9tyb9DHhBfkZTSg6Cg5Ny0XpXE9MKVYEwFuyLyUCnn9K5im7cI/T0sVDIXqVQ== a comment',
    fingerprint: '07:20:da:fe:68:f7:0a:33:74:b4:e2:60:fc:25:4b:36',
  },
]

for (const { line, fingerprint } of known)
  test(`a key of type ${line.split(' ')[0]} is read, whatever surrounds it`, () => {
    assert.deepEqual(readPublicKey('publickey', ` ${line}\n`), { line, fingerprint })
  })

const [ed25519 = { line: '' }] = known

test('what is no public key is refused with a reason', () => {
  const refused = (text: string, reason: RegExp) => assert.throws(() => readPublicKey('publickey', text), reason)
  refused('-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl', /is a private key/)
  refused(`${ed25519.line}\n${ed25519.line}`, /on a single line/)
  refused('ssh-dss AAAAB3NzaC1kc3M=', /must begin with one of ssh-ed25519/)
  refused(ed25519.line.slice(0, 60), /is damaged/)
  refused(ed25519.line.replace('ssh-ed25519', 'ssh-rsa'), /is damaged/)
  refused('', /must begin with/)
})

test('a new pair fits together, and its name is the comment', async () => {
  const { line, fingerprint, privateKey } = await makeKeyPair('my first key')
  assert.match(line, / my-first-key$/)
  assert.deepEqual(readPublicKey('publickey', line), { line, fingerprint })
  assert.match(privateKey, /^-----BEGIN RSA PRIVATE KEY-----\n/)
  const { n } = createPublicKey(createPrivateKey(privateKey)).export({ format: 'jwk' })
  const modulus = Buffer.from(n ?? '', 'base64url').toString('hex')
  assert.ok(
    Buffer.from(line.split(' ')[1] ?? '', 'base64')
      .toString('hex')
      .endsWith(modulus),
  )
})
