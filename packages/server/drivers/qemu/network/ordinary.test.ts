// The same tests as an ordinary user, whose networks are in a user namespace. Where the tests run as root, it lends him what udev gives to
// all elsewhere: a /dev/net/tun that he may open, in a mount namespace that ends with the test.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isOrdinary } from './keeper.ts'

const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--']
const files = ['networks.test.ts', 'isolation.test.ts'].map(name => join(import.meta.dirname, name))
const open = `
mknod "$1/tun" c 10 200
chmod 666 "$1/tun"
mount --bind "$1/tun" /dev/net/tun
shift
exec "$@"
`

function obstacle(): string | null {
  if (isOrdinary) return 'the other tests run as an ordinary user already'
  const may = (...words: string[]) => spawnSync(nobody[0]!, [...nobody.slice(1), ...words]).status === 0
  if (!may('unshare', '--user', '--map-root-user', '--net', 'true')) return 'ordinary users may make no namespaces here'
  return may('test', '-r', files[0]!) ? null : 'an ordinary user cannot read this folder'
}

test('guest networks without root', { skip: obstacle() ?? false }, t => {
  const folder = mkdtempSync(join(tmpdir(), 'ramet-tun-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const words = ['--mount', 'sh', '-ec', open, 'sh', folder, ...nobody, process.execPath, '--test', ...files]
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', env })
  assert.ok(status === 0 && /^ℹ skipped 0$/m.test(stdout), stdout + stderr)
})
