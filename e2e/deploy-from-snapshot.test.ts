// Machines from the VM snapshots of a real guest: from A, B and C in a row and D on a branch beside them, in both modes and clone types.
// Their root disks have the checksum that the original had at that instant. Then the original goes, and one of them lives on.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

const run = promisify(execFile)

describe('machines from the VM snapshots of a real guest', { timeout: 600_000 }, () => {
  let cloud: Cloud
  let template: string
  let source: Machine
  let heir: Machine
  /** By name: the VM snapshot, and the checksum of the root disk at that instant. */
  const nodes: Record<string, { readonly id: string; readonly sum: string }> = {}

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    template = (await world().registerTemplate(file)).id
    source = await world().deploy(template, 'original', 'linked')
    await world().awaitSsh(source)
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world
  const fileOf = async (vm: string) => {
    const [root] = await list(world().client, 'listVolumes', 'volume', { virtualmachineid: vm, type: 'ROOT' })
    return join(cloud.dataDir, 'primary/layers', `${String(root?.['path'])}.qcow2`)
  }

  async function sumOf(file: string): Promise<string> {
    const [raw, hash] = [join(cloud.folder, 'raw'), createHash('sha256')]
    await run('qemu-img', ['convert', '-U', '-f', 'qcow2', '-O', 'raw', file, raw])
    await pipeline(createReadStream(raw), hash)
    await rm(raw)
    return hash.digest('hex')
  }

  const mark = (machine: Machine, text: string) =>
    world().ssh(machine, `echo ${text} > /root/mark; head -c 300000 /dev/urandom > /root/noise-${text}; sync`)
  const markOf = (machine: Machine) => world().ssh(machine, 'cat /root/mark 2>/dev/null || echo none')

  /** What the disk holds at that instant is what the machine wrote until then: its layer is the snapshot's from now on. */
  async function take(name: string, withMemory: boolean): Promise<void> {
    await mark(source, name)
    const file = await fileOf(source.id)
    const { id } = await world().takeSnapshot(source, name, withMemory)
    nodes[name] = { id: id as string, sum: await sumOf(file) }
  }

  test('the disks of machines from a chain and a branch are those of then, in both modes, linked and full', async () => {
    for (const name of ['A', 'B', 'C']) await take(name, name === 'B')
    source = await world().revert(nodes['B']?.id as string)
    await world().awaitSsh(source)
    await take('D', false)
    await mark(source, 'later')
    assert.equal(new Set(Object.values(nodes).map(({ sum }) => sum)).size, 4)
    const made: Machine[] = []
    for (const mode of ['direct', 'seed']) {
      await world().client.call('updateConfiguration', { name: 'vmsnapshot.deploy.mode', value: mode })
      for (const [name, { id, sum }] of Object.entries(nodes))
        for (const clonetype of name === 'A' || mode === 'seed' ? ['linked', 'full'] : ['linked']) {
          const about = `${mode}-${clonetype}-${name.toLowerCase()}`
          const machine = await world().deployFromSnapshot(id, about, { clonetype, startvm: false })
          assert.equal(await sumOf(await fileOf(machine.id)), sum, about)
          assert.equal(machine.cloneType, clonetype)
          assert.equal(machine.chainDepth, clonetype === 'full' ? 1 : mode === 'seed' ? 2 : machine.chainDepth)
          made.push(machine)
        }
    }
    assert.equal(await markOf(source), 'later')
    heir = made.find(({ name }) => name === 'direct-linked-d') as Machine
    await Promise.all(made.filter(machine => machine !== heir).map(machine => world().expunge(machine)))
  })

  test('one that runs is a machine of its own: its name, its key, its address', async t => {
    const { id } = nodes['B'] as { id: string }
    const machine = await world().deployFromSnapshot(id, 'seeded')
    t.diagnostic(`seeded: ${machine.deployMs} ms`)
    await world().awaitSsh(machine)
    assert.equal(await markOf(machine), 'B')
    assert.equal(await world().ssh(machine, 'hostname'), 'seeded')
    assert.equal(await world().ssh(machine, 'ls /run/mark 2>/dev/null || echo booted'), 'booted')
    assert.notEqual(machine.sshAddress, source.sshAddress)
    await mark(machine, 'own')
    assert.equal(await markOf(source), 'later')
    await world().expunge(machine)
  })

  test('when the original is gone, one that stands on its snapshot boots, and has a life of its own', async () => {
    await world().expunge(source)
    await world().quiet()
    heir = await world().start(heir)
    await world().awaitSsh(heir)
    assert.equal(await markOf(heir), 'D')
    await mark(heir, 'then')
    const warm = (await world().takeSnapshot(heir, 'warm', true))['id'] as string
    await mark(heir, 'now')
    heir = await world().revert(warm)
    await world().awaitSsh(heir)
    assert.equal(await markOf(heir), 'then')
    const grandchild = await world().deployFromSnapshot(warm, 'grandchild', { startvm: false })
    await world().expunge(grandchild)
    await world().deleteSnapshot(warm)
    assert.equal(await markOf(heir), 'then')
    const asked = { virtualmachineid: heir.id, expunge: true }
    const { virtualmachine } = await world().client.run('restoreVirtualMachine', asked)
    assert.equal((virtualmachine as Fields)['templateid'], template)
    heir = await world().machine(heir.id)
    await world().awaitSsh(heir)
    assert.equal(await markOf(heir), 'none')
  })

  test('of all that nothing is left but the template’s copy', async () => {
    await world().expunge(heir)
    await world().quiet()
    assert.equal((await cloud.layerFiles()).length, 1)
    assert.deepEqual(await diagnose(cloud.dataDir), [])
  })
})
