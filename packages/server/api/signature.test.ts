import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expiryTime, signatureMatches } from './signature.ts'

// Computed with Python's hmac and urllib.parse, as Marvin and `cs` do it.
const secret = 's3cret'
const call = [
  ['command', 'deployVirtualMachine'],
  ['apikey', 'K-e_y'],
] as const
const vectors = [
  { what: 'plain values', name: undefined, signature: '6BTNczpHV9IcWI6m8k4o6JO+Euo=' },
  { what: 'a bare tilde, as Python and Go write it', name: 'a~b', signature: '2cEcU4ADcGNVWi9DjRbbtr7+6+8=' },
  { what: 'a tilde as %7E, as Java writes it', name: 'a~b', signature: 's812pqoIg8Mr6d+mFCZVqDHoKxY=' },
  { what: 'a star, which stays as it is', name: 'a*b', signature: 'hm2E2tW3BgPbMCcKXt7VYYFTIuc=' },
  { what: 'a plus and a space, which is %20', name: 'a+b c', signature: 'HEG8xZlSiB2Xd0wopa8B4oEAKs8=' },
  { what: 'letters beyond ASCII, as UTF-8', name: 'Büro 日本 ✓', signature: 'HeuzkAtkKPVLWH8729qaGlITnQ8=' },
  { what: 'reserved characters', name: "it's (a) [test]! /?&=%", signature: 'E5lvvDsKjTBHMGWzFLOJTRErfeE=' },
]

for (const { what, name, signature } of vectors) {
  const pairs = name === undefined ? call : [...call, ['name', name] as const]
  test(`a signature is right for ${what}`, () => {
    assert.ok(signatureMatches(secret, signature, pairs))
  })
}

const mixed = [
  ['command', 'listHosts'],
  ['apiKey', 'K'],
  ['Zone', 'z'],
  ['name', 'n'],
  ['pageSize', '5'],
  ['page', '1'],
  ['tags[0].key', 'k'],
] as const

test('names in mixed case may be sorted as they are or in lower case', () => {
  assert.ok(signatureMatches(secret, 'kJJXYBNgpzcIpDpQQB6Q/sUhBBo=', mixed))
  assert.ok(signatureMatches(secret, 'eN2Hln4iSpJGo7WwkGtrmot8cqw=', mixed))
})

test('the order of the parameters does not matter, and the signature itself is not signed', () => {
  const pairs = [['signature', 'anything'] as const, ...call.toReversed()]
  assert.ok(signatureMatches(secret, '6BTNczpHV9IcWI6m8k4o6JO+Euo=', pairs))
})

test('another secret, another value, or no signature at all is refused', () => {
  assert.ok(!signatureMatches('other', '6BTNczpHV9IcWI6m8k4o6JO+Euo=', call))
  assert.ok(!signatureMatches(secret, '6BTNczpHV9IcWI6m8k4o6JO+Euo=', [...call, ['name', 'x']]))
  assert.ok(!signatureMatches(secret, '', call))
  assert.ok(!signatureMatches(secret, 'not base64 !', call))
})

test('both spellings of the expiry are read, and rubbish is not', () => {
  const noon = Date.UTC(2025, 0, 31, 12)
  assert.equal(expiryTime('2025-01-31T12:00:00+0000')?.getTime(), noon)
  assert.equal(expiryTime('2025-01-31T12:00:00Z')?.getTime(), noon)
  assert.equal(expiryTime('2025-01-31T14:00:00+0200')?.getTime(), noon)
  assert.equal(expiryTime('soon'), null)
})
