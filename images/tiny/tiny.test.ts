// What a user of the demo template relies on, tried on a real machine. It is emulated, so the steps share three boots.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { buildTiny } from './build.ts'
import { boot, eventually, type Machine, makeSeed, type Seed } from './lab.ts'
import { run } from './run.ts'

const cache = process.env['RAMET_CACHE'] ?? join(homedir(), '.cache/ramet/images')
const files = { path: '/etc/greeting file', content: 'one "line"\n\n  and \\ another é\n', permissions: '0600' }
const encoded = { path: '/etc/encoded', encoding: 'b64', content: Buffer.from('decoded\n').toString('base64') }

let directory: string
let disk: string
let key: string
let machine: Machine
let firstKey: string
let firstMachineId: string

async function start(
  instance: string,
  hostname: string,
  userData: string,
  device: Seed['device'] = 'virtio-blk-pci',
): Promise<number> {
  const publicKey = (await run('cat', [`${key}.pub`])).trim()
  const seedName = `seed-${instance}-${performance.now()}`
  const meta = { 'instance-id': instance, 'local-hostname': hostname, 'public-keys': [publicKey] }
  machine = await boot(directory, disk, { file: await makeSeed(directory, seedName, meta, userData), device }, key)
  return machine.awaitSsh()
}

const plugIn = (id: string, mac: string) =>
  machine.monitor('device_add', { driver: 'virtio-net-pci', id, netdev: 'net1', bus: 'rp0', mac })
const interfaces = async () => JSON.stringify(await machine.agent('guest-network-get-interfaces'))

before(async () => {
  const { file } = await buildTiny({ directory: cache })
  directory = await mkdtemp(join(tmpdir(), 'tiny-test-'))
  disk = join(directory, 'disk.qcow2')
  key = join(directory, 'key')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', file, '-F', 'qcow2', disk, '1G'])
})

after(async () => {
  await machine?.kill()
  await rm(directory, { recursive: true, force: true })
})

test('a new machine answers SSH by the key of its seed', async t => {
  const config = {
    password: 'sesame',
    write_files: [files, encoded],
    runcmd: ['echo "$((6 * 7))" >/root/ran', ['touch', '/root/a b']],
  }
  t.diagnostic(
    `SSH after ${Math.round(await start('first', 'web-1', `#cloud-config\n${JSON.stringify(config)}\n`))} ms`,
  )
  assert.equal(await machine.ssh('hostname'), 'web-1\n')
  firstKey = await machine.hostKey()
  firstMachineId = await machine.ssh('cat /etc/machine-id')
  assert.match(firstMachineId, /^[0-9a-f]{32}\n$/)
})

test('the seed sets the password, files and commands', async () => {
  const [, salt] = /^root:\$6\$([^$]+)\$/.exec(await machine.ssh('cat /etc/shadow')) ?? []
  assert.ok(salt, 'root has a password')
  assert.equal(
    await machine.ssh(
      `[ "root:$(mkpasswd -m sha512 -S '${salt}' sesame)" = "$(cut -d: -f1,2 /etc/shadow)" ] && echo same`,
    ),
    'same\n',
  )
  assert.equal(await machine.ssh(`cat '${files.path}'`), files.content)
  assert.equal(await machine.ssh(`stat -c %a '${files.path}'`), '600\n')
  assert.equal(await machine.ssh(`cat ${encoded.path}`), 'decoded\n')
  await eventually('the commands of the seed', 10_000, () => machine.ssh('grep -x 42 /root/ran && ls "/root/a b"'))
})

test('the console says where SSH answers', async () => {
  await eventually('the line', 10_000, async () =>
    assert.match(await machine.serial(), /ramet-tiny ready 10\.0\.2\.15/),
  )
})

test('the root file system fills a disk that is larger than the image', async () => {
  assert.ok(Number(await machine.ssh("df -m / | awk 'NR == 2 { print $2 }'")) > 900)
})

test('the guest agent answers, runs commands, sets the clock and freezes', async () => {
  await eventually('the agent', 10_000, () => machine.agent('guest-ping'))
  await machine.agent('guest-set-time', { time: (Date.now() + 86_400_000) * 1_000_000 })
  assert.ok(Math.abs(Number(await machine.ssh('date +%s')) * 1000 - Date.now() - 86_400_000) < 10_000)
  const { pid } = (await machine.agent('guest-exec', { path: '/bin/hostname', 'capture-output': true })) as {
    pid: number
  }
  await eventually('the command', 10_000, async () => {
    const result = (await machine.agent('guest-exec-status', { pid })) as { exited: boolean; 'out-data'?: string }
    assert.equal(result['out-data'], Buffer.from('web-1\n').toString('base64'))
  })
  assert.equal(await machine.agent('guest-fsfreeze-freeze'), 1)
  assert.equal(await machine.agent('guest-fsfreeze-thaw'), 1)
})

test('a network card that is plugged in gets an address', async () => {
  await machine.monitor('netdev_add', { type: 'user', id: 'net1', net: '10.7.0.0/24' })
  await plugIn('nic1', '52:54:00:00:00:77')
  await eventually('the address', 10_000, async () => assert.match(await interfaces(), /10\.7\.0\./))
})

test('one that was exchanged while nobody watched gets one too, as a clone of a starting machine needs it', async () => {
  await machine.ssh('killall -STOP uevent')
  await machine.monitor('device_del', { id: 'nic1' })
  await eventually('the card to go', 10_000, () => plugIn('nic2', '52:54:00:00:00:78'))
  await eventually('the other card', 10_000, async () => assert.match(await interfaces(), /:78/))
  await machine.ssh('killall -KILL uevent') // init starts it again; what it has not heard is lost
  await eventually('the address', 20_000, async () => assert.match(await interfaces(), /10\.7\.0\./))
  assert.equal(await machine.ssh('ls -d /run/nic-eth1.* | wc -l'), '1\n')
})

test('the power button shuts down cleanly', async () => {
  await machine.monitor('system_powerdown')
  await machine.ended()
  await run('qemu-img', ['check', disk])
})

test('another instance-id, here on a CD-ROM, makes another machine of the same disk', async t => {
  t.diagnostic(
    `SSH after ${Math.round(await start('second', 'web-2', '#!/bin/sh\nhostname >/root/script-ran\n', 'ide-cd'))} ms`,
  )
  assert.equal(await machine.ssh('hostname'), 'web-2\n')
  assert.notEqual(await machine.hostKey(), firstKey)
  assert.notEqual(await machine.ssh('cat /etc/machine-id'), firstMachineId)
  await eventually('the script of the seed', 10_000, () => machine.ssh('grep -x web-2 /root/script-ran'))
  firstKey = await machine.hostKey()
  await machine.ssh('sync')
})

test('a machine that lost its power starts again with its keys', async t => {
  await machine.kill()
  t.diagnostic(`SSH after ${Math.round(await start('second', 'ignored', ''))} ms`)
  assert.equal(await machine.hostKey(), firstKey)
  assert.equal(await machine.ssh('hostname'), 'web-2\n')
  assert.equal(await machine.ssh('dmesg | grep -ci "ext4-fs error"; true'), '0\n')
})
