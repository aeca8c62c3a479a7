// For tests: other tests as an ordinary user, whose networks are in a user namespace. Where tests run as root, it lends him what udev gives
// to all elsewhere: a /dev/net/tun that he may open, in a mount namespace that ends with the test.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOrdinary } from './keeper.ts'

const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--']
const open = `
mknod "$1/tun" c 10 200
chmod 666 "$1/tun"
mount --bind "$1/tun" /dev/net/tun
shift
exec "$@"
`

/** Why that cannot be tried here; null when it can. */
export function obstacle(): string | null {
  if (isOrdinary) return 'the tests themselves run as an ordinary user already'
  const may = (...words: string[]) => spawnSync(nobody[0]!, [...nobody.slice(1), ...words]).status === 0
  if (!may('unshare', '--user', '--map-root-user', '--net', 'true')) return 'ordinary users may make no namespaces here'
  return may('test', '-r', import.meta.filename) ? null : 'an ordinary user cannot read this folder'
}

/** Runs the test files; fails where one of them does, or where not exactly so many are skipped. */
export function passAsOrdinaryUser(files: readonly string[], skipped = 0): void {
  const folder = mkdtempSync(join(tmpdir(), 'ramet-tun-'))
  try {
    const words = ['--mount', 'sh', '-ec', open, 'sh', folder, ...nobody, process.execPath, '--test', ...files]
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', env, maxBuffer: 2 ** 26 })
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, new RegExp(`^ℹ skipped ${skipped}$`, 'm'), stdout)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
