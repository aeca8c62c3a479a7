// An ordinary Debian cloud image, as users bring them: nothing in it is made for Ramet, and nothing in Ramet for it. It says
// whether cloud-init, systemd and the guest agent find what they look for. Emulated, it takes a minute or more to boot.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { GuestAgent } from '@ramet/server/drivers/qemu/guest/guest-agent.ts'
import { networkRefusal } from '@ramet/server/drivers/qemu/network/probe.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { buildDebian, whyNoDebian } from '../images/debian/build.ts'
import { imageCache } from './image-cache.ts'
import { awaitSsh, makeKeyPair, ssh, sshByPassword } from './ssh.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

const reason = await whyNoDebian()
const bootSeconds = 600
const agentLimitMs = 60_000
const user = 'debian' // cloud-init's default user there; root may not log in

const userData = `#cloud-config
write_files:
  - path: /var/lib/from-the-user
    content: words of the user
runcmd:
  - [sh, -c, "echo $((6 * 7)) > /var/lib/ran"]
`

describe('a Debian cloud image', { timeout: 2_400_000, skip: reason ?? false }, () => {
  let cloud: Cloud
  let linked: Machine
  let full: Machine

  before(async () => {
    const file = await buildDebian(imageCache())
    cloud = await Cloud.open()
    const { id } = await world().registerTemplate(file)
    const [offering] = await list(world().client, 'listServiceOfferings', 'serviceoffering', { name: 'Small Instance' })
    const set = {
      serviceofferingid: offering?.['id'] as string,
      rootdisksize: 4,
      userdata: Buffer.from(userData).toString('base64'),
    }
    ;[linked, full] = await Promise.all([
      world().deploy(id, 'deb-linked', 'linked', set),
      world().deploy(id, 'deb-full', 'full', set),
    ])
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world
  const ask = ({ sshAddress }: Machine, command: string) => ssh(sshAddress, world().key, command, user)
  const both = () => [linked, full]
  const booted = ({ sshAddress }: Machine) => awaitSsh(sshAddress, world().key, bootSeconds, user)
  const consoleOf = async ({ id }: Machine) =>
    String(((await world().client.call('getConsoleLog', { id }))['consolelog'] as Fields)['output'])

  test('boots, and lets its user in by the key of the deployment', async t => {
    const begin = performance.now()
    await Promise.all(both().map(booted))
    t.diagnostic(`two machines answer SSH after ${Math.round((performance.now() - begin) / 1000)} s`)
    for (const machine of both()) {
      assert.equal(await ask(machine, 'cloud-init status --wait | tail -n 1'), 'status: done')
      assert.equal(await ask(machine, 'systemctl is-system-running --wait'), 'running')
    }
  })

  test('is customised by cloud-init: name, instance, user data', async () => {
    for (const machine of both()) {
      assert.equal(await ask(machine, 'hostname'), machine.name)
      assert.equal(await ask(machine, 'cloud-init query instance_id'), machine.id)
      assert.equal(await ask(machine, 'cat /var/lib/from-the-user'), 'words of the user')
      assert.equal(await ask(machine, 'cat /var/lib/ran'), '42')
    }
    const identities = both().map(machine => ask(machine, 'cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub'))
    assert.equal(new Set(await Promise.all(identities)).size, 2, 'each has an identity of its own')
  })

  test('lets its user in by the password that the deployment returned', async () => {
    for (const { sshAddress, password, name } of both())
      assert.equal(await sshByPassword(sshAddress, password ?? '', 'hostname', user), name)
  })

  test('has an address on its network card, and a root file system that fills its disk', async () => {
    for (const machine of both()) {
      const [shown] = await list(world().client, 'listVirtualMachines', 'virtualmachine', { id: machine.id })
      const cards = await ask(machine, 'ip -4 -brief address show scope global')
      assert.match(cards, new RegExp(`^en\\S+ +UP +${String(shown?.['ipaddress'])}/`))
      assert.ok(Number(await ask(machine, "df -m / | awk 'NR == 2 { print $2 }'")) > 3900)
    }
  })

  test('is shut down in order by a stop', async () => {
    for (const machine of both()) await ask(machine, `echo ${machine.name} | sudo tee /root/mine && sync`)
    const states = await Promise.all(both().map(async machine => (await world().stop(machine)).state))
    assert.deepEqual(states, ['Stopped', 'Stopped'])
    for (const machine of both()) assert.match(await consoleOf(machine), /reboot: Power down/)
  })

  test('starts again with its data, as the same machine', async () => {
    ;[linked, full] = (await Promise.all(both().map(machine => world().start(machine)))) as [Machine, Machine]
    await Promise.all(both().map(booted))
    for (const machine of both()) {
      assert.equal(await ask(machine, 'sudo cat /root/mine'), machine.name)
      assert.equal(await ask(machine, 'journalctl --list-boots --quiet | wc -l'), '2')
    }
  })

  test('had heard of the stop, by its guest agent or its power button, and ended every service', async () => {
    for (const machine of both()) {
      const journal = await ask(machine, 'sudo journalctl --boot=-1 --no-pager | tail -n 500')
      assert.match(journal, /guest-shutdown called, mode: powerdown|Power key pressed/)
      assert.match(journal, /Reached target poweroff\.target/)
      assert.match(journal, /systemd-journald.*Journal stopped/)
    }
  })

  test('has a guest agent that answers, also while no server runs', async () => {
    await cloud.server.end('SIGTERM') // it holds the agent's only connection
    for (const { id } of both()) {
      const agent = await GuestAgent.connect(join(cloud.dataDir, 'vms', id, 'agent.sock'))
      assert.ok(await agent.ping(agentLimitMs))
      agent.close()
    }
    await cloud.restart('SIGTERM')
    for (const machine of both()) assert.equal((await world().machine(machine.id)).state, 'Running')
  })

  test('brings up a card of another network that is plugged in while it runs', async t => {
    const refusal = await networkRefusal()
    if (refusal !== null) return t.skip(refusal)
    const network = (await world().makeNetwork('second')) as string
    await world().client.run('addNicToVirtualMachine', { virtualmachineid: full.id, networkid: network })
    const [shown] = await list(world().client, 'listVirtualMachines', 'virtualmachine', { id: full.id })
    const card = ((shown?.['nic'] ?? []) as Fields[]).find(nic => nic['networkid'] === network)
    const address = `${String(card?.['ipaddress'])}/24`
    const up = `ip -4 -brief address show scope global | grep -F ' UP ' | grep -cF '${address}'`
    await eventually('the card has its address', () => ask(full, up).catch(() => null))
    const through = `127.0.0.1:${await world().forward(full, network, 22)}`
    assert.equal(await ssh(through, world().key, 'hostname', user), full.name)
  })

  test('takes another key and another password after a reset, and keeps its data', async t => {
    const hostKey = await ask(linked, 'cat /etc/ssh/ssh_host_ed25519_key.pub')
    await world().stop(linked)
    const other = await makeKeyPair()
    t.after(() => other.remove())
    await world().client.call('registerSSHKeyPair', { name: 'other', publickey: other.publicKey })
    await world().client.run('resetSSHKeyForVirtualMachine', { id: linked.id, keypairs: 'other' })
    const { password } = (await world().client.run('resetPasswordForVirtualMachine', { id: linked.id }))[
      'virtualmachine'
    ] as { password: string }
    const former = linked.password ?? ''
    linked = await world().start(linked)
    await awaitSsh(linked.sshAddress, other, bootSeconds, user)
    const asked = (command: string) => ssh(linked.sshAddress, other, command, user)
    assert.equal(await asked('cloud-init status --wait | tail -n 1'), 'status: done')
    assert.equal(await sshByPassword(linked.sshAddress, password, 'hostname', user), linked.name)
    await assert.rejects(sshByPassword(linked.sshAddress, former, 'hostname', user), /Permission denied/)
    assert.equal(await asked('sudo cat /root/mine'), linked.name)
    assert.notEqual(await asked('cat /etc/ssh/ssh_host_ed25519_key.pub'), hostKey, 'as for any new instance')
  })
})
