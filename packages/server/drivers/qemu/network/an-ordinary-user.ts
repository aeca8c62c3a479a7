// For tests: other tests as an ordinary user, whose networks are in a user namespace. Where tests run as root, it lends him what udev gives
// to all elsewhere: a /dev/net/tun that he may open, in a mount namespace that ends with the test.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOrdinary } from './keeper.ts'

/** Addresses of somebody outside, and of the host of the tests. */
export const outsider = '192.0.2.7'
export const hostOutside = '192.0.2.1'
export const hostAlone = '198.51.100.1'

const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--']
/** Somebody outside, whom the host of the tests reaches by a link, and who tells whoever comes who he is to him. */
const outside = `
ip link set lo up
unshare --net perl -e '
  use IO::Socket::INET;
  $SIG{PIPE} = "IGNORE";
  $SIG{ALRM} = sub { getppid == 1 ? exit : alarm 1 };
  alarm 1;
  my $all = IO::Socket::INET->new(LocalPort => 7777, Listen => 9) or die "$!";
  while (1) { my $one = $all->accept or next; print $one $one->peerhost }
' >/dev/null 2>&1 &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ] && [ -n "$(readlink /proc/$!/ns/net)" ]; do sleep 0.05; done
ip link add world type veth peer name world netns $!
ip addr add ${hostOutside}/24 dev world
ip addr add ${hostAlone}/32 dev lo
ip link set world up
nsenter --net=/proc/$!/ns/net sh -ec 'ip link set lo up; ip addr add ${outsider}/24 dev world; ip link set world up'
`
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

/**
 * Runs the test files; fails where one of them does, or where not exactly so many are skipped. `apart`: on a host of their own, whose one link
 * leads to somebody outside.
 */
export function passAsOrdinaryUser(files: readonly string[], skipped = 0, apart = false): void {
  const folder = mkdtempSync(join(tmpdir(), 'ramet-tun-'))
  try {
    const script = apart ? outside + open : open
    const words = [
      '--mount',
      ...(apart ? ['--net'] : []),
      'sh',
      '-ec',
      script,
      'sh',
      folder,
      ...nobody,
      process.execPath,
      '--test',
      ...files,
    ]
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', env, maxBuffer: 2 ** 26 })
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, new RegExp(`^ℹ skipped ${skipped}$`, 'm'), stdout)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
