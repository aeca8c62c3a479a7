// Instant clones of a running guest, by the API of a real server: they go on from its memory and disks, with cards and addresses of their own;
// the guest notices nothing; the server is restarted in between, and killed in the middle of the next clones; a frozen machine has clones too.
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Parameters } from '@ramet/client/parameters.ts'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

describe('instant clones of a running guest', { timeout: 600_000 }, () => {
  let cloud: Cloud
  let source: Machine
  let clones: Machine[] = []

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    const { id } = await world().registerTemplate(file)
    source = await world().deploy(id, 'source', 'linked')
    await world().awaitSsh(source)
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world
  const mark = (machine: Machine, text: string) =>
    world().ssh(machine, `echo ${text} > /root/mark; echo ${text} > /run/mark; sync`)
  const found = async (machine: Machine) =>
    (await world().ssh(machine, 'cat /root/mark /run/mark')).split(/\s+/).filter(Boolean)
  const uptime = async (machine: Machine) => Number((await world().ssh(machine, 'cat /proc/uptime')).split(' ')[0])

  async function clone(id: string, count: number, name: string): Promise<Fields[]> {
    const asked = { virtualmachineid: id, clonetype: 'instant', count, name }
    const { virtualmachine } = await world().client.run('cloneVirtualMachine', asked)
    return [virtualmachine as Fields | Fields[]].flat()
  }
  /** When they have their own cards, and are customized: that starts SSH anew, with keys of their own. */
  async function reached(made: readonly { id: string }[]): Promise<Machine[]> {
    await world().quiet()
    const machines = await Promise.all(made.map(({ id }) => world().machine(id)))
    await world().awaitCustomized(machines)
    for (const machine of machines) await world().awaitSsh(machine)
    return machines
  }

  test('are Running at once, go on where it was, and have MACs and addresses of their own', async () => {
    await mark(source, 'then')
    const earlier = await uptime(source)
    const made = await clone(source.id, 3, 'fork')
    assert.deepEqual(
      made.map(({ name, state, clonetype }) => [name, state, clonetype]),
      [1, 2, 3].map(number => [`fork-${number}`, 'Running', 'instant']),
    )
    clones = await reached(made as unknown as { id: string }[])
    await mark(source, 'later')
    for (const each of clones) {
      assert.deepEqual(await found(each), ['then', 'then'])
      assert.ok((await uptime(each)) >= earlier, 'it has booted')
    }
    assert.deepEqual(await found(source), ['later', 'later'])
    const cards = await Promise.all(
      [source, ...clones].map(each =>
        world().ssh(each, 'cat /sys/class/net/e*/address; hostname -I 2>/dev/null || true'),
      ),
    )
    const macs = cards.map(text => text.match(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g) ?? []).flat()
    assert.equal(macs.length, 4, `each has one card: ${cards.join(' | ')}`)
    assert.equal(new Set(macs).size, 4)
  })

  test('outlive the server, write what they like, and none sees another', async () => {
    await cloud.restart('SIGTERM')
    for (const each of clones) await mark(each, each.name)
    for (const each of clones) assert.deepEqual(await found(each), [each.name, each.name])
    assert.deepEqual(await found(source), ['later', 'later'])
  })

  test('that come and go leave their source its layers and bytes, and the others as they are', async () => {
    const layers = async () => (await readdir(join(cloud.dataDir, 'primary/layers'))).length
    const shown = async () => {
      const [fields] = await list(world().client, 'listVirtualMachines', 'virtualmachine', { id: source.id })
      return { depth: fields?.['chaindepth'], deltas: fields?.['deltas'], layers: await layers() }
    }
    await world().ssh(source, 'head -c 3000000 /dev/urandom > /root/blob; sync')
    const sum = 'md5sum < /root/blob'
    const blob = await world().ssh(source, sum)
    await world().client.run('consolidateVirtualMachine', { virtualmachineid: source.id })
    await world().quiet()
    const earlier = await shown()
    for (const cycle of [1, 2])
      for (const each of await clone(source.id, 2, `cycle-${cycle}`)) await world().expunge(each as unknown as Machine)
    const kept = await clonesOfKept()
    for (const each of kept) await world().expunge(each as unknown as Machine)
    await world().quiet()
    await world().client.run('consolidateVirtualMachine', { virtualmachineid: source.id })
    await world().quiet()
    assert.deepEqual(await shown(), earlier)
    assert.equal(await world().ssh(source, `echo 3 > /proc/sys/vm/drop_caches; ${sum}`), blob)
    for (const each of clones) assert.deepEqual(await found(each), [each.name, each.name])
  })

  /** The second is made of an instant that is kept, the third of the same. */
  async function clonesOfKept(): Promise<Fields[]> {
    const threshold = { name: 'instantclone.delta.threshold' }
    await world().client.call('updateConfiguration', { ...threshold, value: 1 })
    const [first, second] = [await clone(source.id, 1, 'first'), await clone(source.id, 1, 'second')]
    await mark(source, 'since')
    const third = await clone(source.id, 1, 'third')
    const [machine] = await reached(third as unknown as { id: string }[])
    assert.deepEqual(await found(machine as Machine), ['later', 'later'])
    await mark(source, 'later')
    await world().client.call('resetConfiguration', threshold)
    return [...first, ...second, ...third]
  }

  test('are made, or not, but never half, when the server is killed meanwhile', async () => {
    const asked = { virtualmachineid: source.id, clonetype: 'instant', count: 2, name: 'killed' }
    await world().client.call('cloneVirtualMachine', asked)
    await cloud.restart('SIGKILL')
    await world().quiet()
    const made = (await world().machines()).filter(({ name }) => name.startsWith('killed'))
    assert.deepEqual([...new Set(made.map(({ state }) => state))], ['Running'])
    for (const each of await reached(made)) assert.deepEqual(await found(each), ['later', 'later'])
    assert.deepEqual(await found(source), ['later', 'later'])
    for (const each of made) await world().expunge(each)
  })

  test('are made of a frozen one, which goes on when they are gone', async () => {
    const [golden] = clones
    assert.ok(golden)
    const { virtualmachine } = await world().client.run('freezeVirtualMachine', { id: golden.id })
    assert.deepEqual([(virtualmachine as Fields)['state'], (virtualmachine as Fields)['frozen']], ['Stopped', true])
    const made = await reached((await clone(golden.id, 2, 'of-frozen')) as unknown as { id: string }[])
    for (const each of made) assert.deepEqual(await found(each), [golden.name, golden.name])
    await assert.rejects(world().client.run('unfreezeVirtualMachine', { id: golden.id }), /frozen source of 2 clones/)
    for (const each of made) await world().expunge(each)
    await world().quiet()
    await world().client.run('unfreezeVirtualMachine', { id: golden.id })
    await world().awaitSsh(await world().machine(golden.id))
    assert.deepEqual(await found(await world().machine(golden.id)), [golden.name, golden.name])
  })

  test('are refused with more processors, in too great a number, and of a machine that is stopped, with the way out', async () => {
    const offerings = await list(world().client, 'listServiceOfferings', 'serviceoffering', { name: 'Medium Instance' })
    const ask = { virtualmachineid: source.id, clonetype: 'instant' }
    const refused = (more: Parameters, message: RegExp) =>
      assert.rejects(world().client.call('cloneVirtualMachine', { ...ask, ...more }), { errorcode: 431, message })
    const earlier = (await world().machines()).length
    await refused({ serviceofferingid: String(offerings[0]?.['id']) }, /with 1 and 256 MiB. Leave it out/)
    await refused({ count: 201 }, /one call may ask for 200 clones/)
    assert.deepEqual(await found(source), ['later', 'later'])
    await world().client.run('stopVirtualMachine', { id: source.id, forced: true })
    await refused({}, /is Stopped, and an instant clone goes on from the memory .* Start it first/)
    assert.equal((await world().machines()).length, earlier)
  })

  test('leave nothing behind', async () => {
    for (const each of clones) await world().expunge(each)
    await world().quiet()
    await eventually('no process works on anything', async () => {
      const findings = await diagnose(cloud.dataDir)
      return findings.length === 0 ? true : null
    })
  })
})
