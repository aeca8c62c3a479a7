// Four generations of instant clones, each made of the one before while that runs; then all that can be done with a machine is done with the
// last of them. Each generation knows what all before it knew at the cut, by checksum, and nothing of what others did later.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

const generations = 4
const data = 'head -c 2000000 /dev/urandom'
const files = '/root/data-* /run/data-*'

describe(`${generations} generations of instant clones`, { timeout: 1_200_000 }, () => {
  let cloud: Cloud
  const line: Machine[] = []
  /** What each has on its disk and in its memory. */
  const sums = new Map<string, string>()
  let youngest: Machine
  const world = (): World => cloud.world

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    await world().client.call('updateConfiguration', { name: 'cpu.overprovisioning.factor', value: 20 })
    const { id } = await world().registerTemplate(file)
    const source = await world().deploy(id, 'generation-0', 'linked')
    await world().awaitSsh(source)
    line.push(source)
    await grow(source, 0)
  })
  after(() => cloud?.close())

  /** Data of its own on its disk and in its memory. */
  async function grow(machine: Machine, generation: number): Promise<void> {
    const own = ['/root', '/run'].map(folder => `${data} > ${folder}/data-${generation}`).join('; ')
    await world().ssh(machine, `${own}; sync`)
    sums.set(machine.id, await sumsOf(machine))
  }

  function sumsOf(machine: Machine, of = files): Promise<string> {
    return world().ssh(machine, `echo 3 > /proc/sys/vm/drop_caches; sha256sum ${of}`)
  }

  async function clonesOf(machine: Machine, name: string, count: number): Promise<Machine[]> {
    const made = await world().fork(machine, name, count)
    await world().awaitCustomized(made, 300)
    return Promise.all(
      made.map(async ({ id }) => {
        const clone = await world().machine(id)
        await world().awaitSsh(clone)
        return clone
      }),
    )
  }

  test('each finds what those before it wrote to disk and memory', async () => {
    for (let generation = 1; generation <= generations; generation += 1) {
      const parent = line.at(-1)!
      const [child] = (await clonesOf(parent, `generation-${generation}`, 1)) as [Machine]
      assert.equal(await sumsOf(child), sums.get(parent.id))
      line.push(child)
      await grow(child, generation)
    }
    assert.equal((await sumsOf(line.at(-1)!)).split('\n').length, 2 * (generations + 1))
  })

  test('none sees what another wrote later', async () => {
    for (const machine of line) assert.equal(await sumsOf(machine), sums.get(machine.id), machine.name)
    const hostnames = await Promise.all(line.map(machine => world().ssh(machine, 'hostname; cat /etc/machine-id')))
    assert.equal(new Set(hostnames.flatMap(text => text.split('\n'))).size, 2 * line.length)
  })

  test('the last one lives on when those it descends from are gone', async () => {
    youngest = line.pop()!
    for (const machine of line) await world().expunge(machine)
    await world().quiet()
    assert.equal(await sumsOf(youngest), sums.get(youngest.id))
  })

  test('it goes back to a snapshot with memory, and is cloned again', async () => {
    const snapshot = await world().takeSnapshot(youngest, 'then', true)
    await world().ssh(youngest, 'rm /root/data-1 /run/data-2; echo later > /run/later; sync')
    youngest = await world().revert(snapshot['id'] as string)
    await world().awaitSsh(youngest)
    assert.equal(await sumsOf(youngest), sums.get(youngest.id))
    await assert.rejects(world().ssh(youngest, 'cat /run/later'))
    const [again] = (await clonesOf(youngest, 'again', 1)) as [Machine]
    assert.equal(await sumsOf(again), sums.get(youngest.id))
    await world().expunge(again)
    await world().deleteSnapshot(snapshot['id'] as string)
  })

  test('it becomes a full one while it runs', async () => {
    await world().client.run('convertVirtualMachineToFullClone', { virtualmachineid: youngest.id })
    await world().quiet()
    const { chainDepth } = await world().machine(youngest.id)
    assert.equal(chainDepth, 1)
    assert.equal(await sumsOf(youngest), sums.get(youngest.id))
  })

  test('it boots from its disk, stays who it is, and its volume moves while it is stopped', async () => {
    const onDisk = await sumsOf(youngest, '/root/data-*')
    const who = await world().ssh(youngest, 'hostname; cat /etc/machine-id')
    await world().stop(youngest)
    const { id: storageid } = await world().addPool(`${cloud.folder}/second`, 'second')
    const wanted = { virtualmachineid: youngest.id, type: 'ROOT' }
    const [volume] = await list(world().client, 'listVolumes', 'volume', wanted)
    await world().client.run('migrateVolume', { volumeid: (volume as Fields)['id'] as string, storageid })
    youngest = await world().start(youngest)
    await world().awaitSsh(youngest)
    assert.equal(await sumsOf(youngest, '/root/data-*'), onDisk)
    assert.equal(await world().ssh(youngest, 'hostname; cat /etc/machine-id'), who)
    await assert.rejects(world().ssh(youngest, 'ls /run/data-0'))
    await world().expunge(youngest)
    await world().quiet()
    await eventually('nothing is left', async () => ((await diagnose(cloud.dataDir)).length === 0 ? true : null))
  })
})
