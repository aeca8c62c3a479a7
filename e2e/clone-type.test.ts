// Who decides whether a machine is a full or a linked clone: the call, else the service offering, else the primary storage,
// else the global setting. The decision is written down at creation, and what is set later changes nothing about it.
// No guest has to answer here: disks are blank, and machines are off.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { CloneType } from '@ramet/core/clone-type.ts'
import { databaseUrl } from '@ramet/server/postgres/start-postgres.ts'
import { connect } from '@ramet/server/store/database.ts'
import { Cloud, type Fields, list, type Machine, type World } from './world.ts'

interface Voices {
  readonly call?: CloneType
  readonly offering?: CloneType
  readonly pool?: CloneType
  readonly global?: CloneType
}

const cases: readonly (readonly [Voices, CloneType])[] = [
  [{}, 'linked'],
  [{ global: 'full' }, 'full'],
  [{ global: 'linked' }, 'linked'],
  [{ pool: 'full' }, 'full'],
  [{ pool: 'full', global: 'linked' }, 'full'],
  [{ pool: 'linked', global: 'full' }, 'linked'],
  [{ offering: 'full', pool: 'linked', global: 'linked' }, 'full'],
  [{ offering: 'linked', pool: 'full', global: 'full' }, 'linked'],
  [{ call: 'full', offering: 'linked', pool: 'linked', global: 'linked' }, 'full'],
  [{ call: 'linked', offering: 'full', pool: 'full', global: 'full' }, 'linked'],
]

const setting = 'kvm.create.full.clone'

describe('a new machine', { timeout: 300_000 }, () => {
  let cloud: Cloud
  let template: string
  let pool: string
  let offering: string

  before(async () => {
    cloud = await Cloud.open()
    const image = join(cloud.folder, 'blank.qcow2')
    await promisify(execFile)('qemu-img', ['create', '-q', '-f', 'qcow2', image, '16M'])
    template = (await world().registerTemplate(image)).id
    pool = (await list(world().client, 'listStoragePools', 'storagepool'))[0]?.['id'] as string
    const made = await call('createServiceOffering', { name: 'small', cpunumber: 1, memory: 64 })
    offering = (made['serviceoffering'] as Fields)['id'] as string
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world
  const call = (command: string, parameters: Record<string, string | number | boolean>) =>
    world().client.call(command, parameters)

  for (const [voices, expected] of cases)
    test(`is a ${expected} clone where ${inWords(voices)}`, async () => {
      await say(voices)
      const machine = await deploy(voices.call)
      assert.deepEqual(shapeOf(machine), shape(expected))
      assert.equal(machine.state, 'Stopped')
      assert.equal((await recorded()).get(machine.id), expected)
      await world().expunge(machine)
    })

  test('keeps its type when every voice changes later, and when it starts after that', async () => {
    await say({ global: 'linked' })
    const linked = await deploy()
    await say({ global: 'full', pool: 'full', offering: 'full' })
    const full = await deploy()
    assert.deepEqual([shapeOf(linked), shapeOf(full)], [shape('linked'), shape('full')])
    const earlier = await recorded()

    const started = await world().start(linked)
    assert.deepEqual(shapeOf(started), shape('linked'))
    await world().stop(linked, true)
    await say({ global: 'linked', pool: 'linked', offering: 'linked' })
    await world().start(full)
    await world().stop(full, true)

    assert.deepEqual(await recorded(), earlier)
    assert.deepEqual(shapeOf(await world().machine(linked.id)), shape('linked'))
    assert.deepEqual(shapeOf(await world().machine(full.id)), shape('full'))
    for (const machine of [linked, full]) await world().expunge(machine)
  })

  test('asks the pool again when its offering falls silent', async () => {
    await say({ pool: 'full', offering: 'linked' })
    assert.equal(await typeOfOffering(), 'linked')
    await say({ pool: 'full' })
    assert.equal(await typeOfOffering(), undefined)
    assert.deepEqual(await typesOfTwo(), ['full', 'full'])
  })

  test('follows settings that can be read, for the pool and for all', async () => {
    await say({ pool: 'full', global: 'linked' })
    const valueFor = async (scope: Record<string, string>) =>
      (await list(world().client, 'listConfigurations', 'configuration', { name: setting, ...scope }))[0]?.['value']
    assert.deepEqual([await valueFor({}), await valueFor({ storageid: pool })], ['false', 'true'])
    await call('resetConfiguration', { name: setting, storageid: pool })
    assert.equal(await valueFor({ storageid: pool }), 'false')
  })

  test('does not start with startvm=false, and leaves no process or folder', async () => {
    const machine = await deploy('linked')
    assert.equal(machine.state, 'Stopped')
    assert.deepEqual(await cloud.machineFolders(), [])
    await world().expunge(machine)
    assert.equal((await cloud.layerFiles()).length, 1)
  })

  /** Two at once, so that neither can have waited for what the other decided. */
  async function typesOfTwo(): Promise<string[]> {
    const machines = await Promise.all([deploy(), deploy()])
    for (const machine of machines) await world().expunge(machine)
    return machines.map(({ cloneType }) => cloneType)
  }

  let count = 0
  function deploy(cloneType?: CloneType): Promise<Machine> {
    return world().deploy(template, `m-${++count}`, cloneType, { startvm: false, serviceofferingid: offering })
  }

  /** Makes offering, pool and the global setting say what `voices` says, and be silent where it is. */
  async function say({ offering: offeringSays, pool: poolSays, global }: Voices): Promise<void> {
    await call('updateServiceOffering', { id: offering, clonetype: offeringSays ?? '' })
    if (poolSays) await call('updateConfiguration', { name: setting, value: poolSays === 'full', storageid: pool })
    else await call('resetConfiguration', { name: setting, storageid: pool })
    if (global) await call('updateConfiguration', { name: setting, value: global === 'full' })
    else await call('resetConfiguration', { name: setting })
  }

  async function typeOfOffering(): Promise<unknown> {
    const [found] = await list(world().client, 'listServiceOfferings', 'serviceoffering', { id: offering })
    return found?.['clonetype']
  }

  /** The rows of user_vm_clone_setting. */
  async function recorded(): Promise<Map<string, string>> {
    const { db, close } = connect(databaseUrl(cloud.dataDir), () => {}, 1)
    try {
      const rows = await db.selectFrom('user_vm_clone_setting').selectAll().execute()
      return new Map(rows.map(({ vm_id, clone_type }) => [vm_id, clone_type]))
    } finally {
      await close()
    }
  }
})

function shape(cloneType: CloneType) {
  return { cloneType, chainDepth: cloneType === 'linked' ? 2 : 1 }
}

function shapeOf({ cloneType, chainDepth }: Machine) {
  return { cloneType, chainDepth }
}

function inWords(voices: Voices): string {
  const said = Object.entries(voices).map(([who, what]) => `the ${who} says ${what}`)
  return said.length > 0 ? said.join(' and ') : 'nobody says anything'
}
