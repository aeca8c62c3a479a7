// What a guest sees of what happens to its machine while it is off: another offering, other keys and another password, a
// recovery after it was destroyed, a new root disk. Two machines live through it side by side, a linked and a full clone.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { awaitSsh, type KeyPair, makeKeyPair, ssh, sshByPassword } from './ssh.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

describe('a machine that is changed while it is off', { timeout: 600_000 }, () => {
  let cloud: Cloud
  let fresh: KeyPair
  let linked: Machine
  let full: Machine

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    fresh = await makeKeyPair()
    await world().client.call('registerSSHKeyPair', { name: 'fresh', publickey: fresh.publicKey })
    const template = (await world().registerTemplate(file)).id
    const [disk] = await list(world().client, 'listDiskOfferings', 'diskoffering', { name: 'Small' })
    ;[linked, full] = await Promise.all([
      world().deploy(template, 'linked', 'linked'),
      world().deploy(template, 'full', 'full', { diskofferingid: disk?.['id'] as string }),
    ])
    await Promise.all([linked, full].map(machine => world().awaitSsh(machine)))
    await Promise.all([linked, full].map(machine => world().ssh(machine, 'echo words > /root/mark; sync')))
    await world().ssh(full, 'echo precious | dd of=/dev/vdb bs=512 conv=sync,fsync')
  })
  after(async () => {
    await fresh?.remove()
    await cloud?.close()
  })

  const world = (): World => cloud.world
  const run = (command: string, parameters: Record<string, string | number | boolean>) =>
    world().client.run(command, parameters)

  test('takes its disk, its new offering, keys and password with it', async () => {
    const { id } = linked
    await run('destroyVirtualMachine', { id, forced: true })
    await world().client.call('recoverVirtualMachine', { id })
    const made = await world().client.call('createServiceOffering', { name: 'open', customized: true, cpuspeed: 1000 })
    const { id: offering } = made['serviceoffering'] as Fields
    const sizes = { 'details[0].cpuNumber': 2, 'details[0].memory': 320 }
    await run('scaleVirtualMachine', { id, serviceofferingid: offering as string, ...sizes })
    await run('resetSSHKeyForVirtualMachine', { id, keypair: 'fresh' })
    const reset = (await run('resetPasswordForVirtualMachine', { id }))['virtualmachine'] as Fields

    const { sshAddress } = await world().start(linked)
    await awaitSsh(sshAddress, fresh)
    assert.equal(await ssh(sshAddress, fresh, 'cat /root/mark'), 'words')
    assert.equal(await ssh(sshAddress, fresh, 'grep -c ^processor /proc/cpuinfo'), '2')
    const memoryKib = Number(await ssh(sshAddress, fresh, "awk '/^MemTotal/ { print $2 }' /proc/meminfo"))
    assert.ok(memoryKib > 256 * 1024 && memoryKib <= 320 * 1024, `${memoryKib} KiB`)
    await assert.rejects(ssh(sshAddress, world().key, 'true'), /Permission denied/)
    assert.equal(await sshByPassword(sshAddress, String(reset['password']), 'hostname'), 'linked')
    await assert.rejects(sshByPassword(sshAddress, String(linked.password), 'true'), /Permission denied/)
  })

  test('finds a new root disk and its old data disk after it was restored', async () => {
    const restored = (await run('restoreVirtualMachine', { virtualmachineid: full.id }))['virtualmachine'] as Fields
    assert.deepEqual([restored['state'], restored['clonetype'], restored['chaindepth']], ['Running', 'full', 1])
    const machine = await world().machine(full.id)
    await world().awaitSsh(machine)
    assert.equal(await world().ssh(machine, 'ls /root/mark 2>/dev/null || echo gone'), 'gone')
    assert.equal(await world().ssh(machine, 'head -n 1 /dev/vdb'), 'precious')
    assert.equal(await sshByPassword(machine.sshAddress, String(restored['password']), 'hostname'), 'full')
    const aside = await list(world().client, 'listVolumes', 'volume', { type: 'ROOT', state: 'Destroy' })
    assert.equal(aside.filter(({ virtualmachineid }) => !virtualmachineid).length, 1, 'the old disk waits for its time')
  })
})
