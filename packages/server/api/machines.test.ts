// Commands on machines, on a whole server over a simulated hypervisor: what they change, and what they refuse and why.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { JobId, VmId, VolumeId } from '@ramet/core/ids.ts'
import type { Row } from '../store/tables.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aTemplate, ended, type Lab, quiet, simulatedLab, stateOf } from '../testing/lab.ts'
import type { Caller } from './caller.ts'
import type { Answer } from './command.ts'
import { commandNamed } from './door.ts'
import { answerOf, selectJobs } from './job-query.ts'

type Fields = Record<string, unknown>

describe('a machine', () => {
  let lab: Lab
  let admin: Caller
  let user: Caller
  let zone: string
  let offering: string
  let template: string

  before(async () => {
    lab = await simulatedLab()
    const { db } = lab.app
    const row = await db.selectFrom('user').selectAll().executeTakeFirstOrThrow()
    const account = await db.selectFrom('account').selectAll().executeTakeFirstOrThrow()
    const domain = await db.selectFrom('domain').selectAll().executeTakeFirstOrThrow()
    admin = { user: row, account, domain }
    user = { user: row, account: { ...account, type: 'User' }, domain }
    zone = (await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()).id
    offering = (await serviceOffering('Small Instance')).id
    template = await aTemplate(lab, { password_enabled: true })
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const call = (name: string, params: Fields, caller = admin): Promise<Answer> => {
    const command = commandNamed(name)
    assert.ok(command, name)
    const raw = new Map(Object.entries(params).map(([key, value]) => [key.toLowerCase(), String(value)]))
    return command.run(lab.app, caller, raw)
  }
  /** Calls, waits for the job, and returns the machine of its result. */
  const run = async (name: string, params: Fields): Promise<Fields> => {
    const { jobid } = await call(name, params)
    const { state, problem } = await ended(lab, jobid as JobId)
    assert.equal(state, 'done', problem?.message)
    const job = await selectJobs(lab.app.db)
      .where('job.id', '=', jobid as JobId)
      .executeTakeFirstOrThrow()
    return ((await answerOf(lab.app, admin, job, commandNamed(name)))?.['virtualmachine'] ?? {}) as Fields
  }
  const deploy = (params: Fields = {}) =>
    run('deployVirtualMachine', { zoneid: zone, serviceofferingid: offering, templateid: template, ...params })
  const deployStopped = (params: Fields = {}) => deploy({ startvm: false, ...params })
  const object = async (name: string, params: Fields, key: string) => (await call(name, params))[key] as Fields
  const serviceOffering = (name: string) =>
    lab.app.db.selectFrom('service_offering').selectAll().where('name', '=', name).executeTakeFirstOrThrow()
  const set = (name: string, value: string | number) => call('updateConfiguration', { name, value })
  const specOf = (id: unknown) => lab.world.starts.findLast(({ vm }) => vm === id)

  test('that was destroyed comes back stopped, with its disk, and starts again', async () => {
    const { id } = await deploy({ name: 'lost' })
    await run('destroyVirtualMachine', { id })
    assert.equal(await stateOf(lab, id as VmId), 'Destroyed')
    const back = await object('recoverVirtualMachine', { id }, 'virtualmachine')
    assert.equal(back['state'], 'Stopped')
    assert.equal((await run('startVirtualMachine', { id }))['state'], 'Running')
    await assert.rejects(call('recoverVirtualMachine', { id }), /lost is Running; recover is possible only when/)
  })

  test('takes those of its data disks along that the call names', async () => {
    const disk = { diskofferingid: await diskOffering('Small') }
    const [kept, aside, gone] = [await deployStopped(disk), await deployStopped(disk), await deployStopped(disk)]
    const dataOf = async ({ id }: Fields) => (await disksOf(id)).find(({ type }) => type === 'DATADISK')
    const [keptDisk, asideDisk, goneDisk] = [await dataOf(kept), await dataOf(aside), await dataOf(gone)]
    await assert.rejects(
      call('destroyVirtualMachine', { id: kept['id'], volumeids: goneDisk?.id }),
      /volumeids names .*, which is no data disk of the machine/,
    )
    await run('destroyVirtualMachine', { id: kept['id'], expunge: true })
    await run('destroyVirtualMachine', { id: aside['id'], volumeids: asideDisk?.id })
    await run('destroyVirtualMachine', { id: gone['id'], volumeids: goneDisk?.id, expunge: true })
    await quiet(lab)
    const states = [await volume(keptDisk?.id), await volume(asideDisk?.id), await volume(goneDisk?.id)]
    assert.deepEqual(
      states.map(row => [row?.state, row?.vm_id]),
      [
        ['Ready', null],
        ['Destroy', null],
        ['Expunged', null],
      ],
    )
    assert.ok(!lab.world.layers.has(goneDisk?.layer_id as never), 'its file is gone')
  })

  test('whose name was taken meanwhile is recovered only when the name is free again', async () => {
    const { id } = await deployStopped({ name: 'twin' })
    await run('destroyVirtualMachine', { id })
    const other = await deployStopped({ name: 'twin' })
    await assert.rejects(call('recoverVirtualMachine', { id }), /Another machine of the account is named twin by now/)
    await call('updateVirtualMachine', { id: other['id'], name: 'twin-2' })
    await call('recoverVirtualMachine', { id })
    assert.equal(await stateOf(lab, id as VmId), 'Stopped')
  })

  test('is expunged and recovered by users only where the setting lets them', async () => {
    const { id } = await deployStopped()
    await assert.rejects(call('destroyVirtualMachine', { id, expunge: true }, user), /allow.user.expunge.recover.vm/)
    await run('destroyVirtualMachine', { id })
    await assert.rejects(call('recoverVirtualMachine', { id }, user), /Only administrators recover a machine/)
    await assert.rejects(call('expungeVirtualMachine', { id }, user), /Only administrators expunge a machine/)
    await set('allow.user.expunge.recover.vm', 'true')
    await call('recoverVirtualMachine', { id }, user)
    await set('allow.user.expunge.recover.vm', 'false')
  })

  test('that was destroyed is expunged when its time has come, and not before', async () => {
    const [due, kept] = [await deployStopped(), await deployStopped()]
    await run('destroyVirtualMachine', { id: due['id'] })
    await run('destroyVirtualMachine', { id: kept['id'] })
    const ago = new Date(Date.now() - 25 * 3600 * 1000)
    await lab.app.db
      .updateTable('vm')
      .set({ destroyed: ago })
      .where('id', '=', due['id'] as VmId)
      .execute()
    await set('expunge.interval', 1)
    await eventually('it is gone', async () => (await stateOf(lab, due['id'] as VmId)) === 'removed')
    assert.equal(await stateOf(lab, kept['id'] as VmId), 'Destroyed')
    await set('expunge.delay', 0)
    await eventually('both are gone', async () => (await stateOf(lab, kept['id'] as VmId)) === 'removed')
    await set('expunge.delay', 86_400)
    await set('expunge.interval', 86_400)
    const gone = await call('listVirtualMachines', { id: due['id'], state: 'Expunged' })
    assert.equal((gone['virtualmachine'] as Fields[])[0]?.['state'], 'Expunged')
    assert.deepEqual(await call('listVirtualMachines', { id: due['id'] }), {})
  })

  test('gets another offering while it is stopped, by either command, and starts with it', async () => {
    const { id } = await deployStopped()
    const medium = (await serviceOffering('Medium Instance')).id
    const large = (await serviceOffering('Large Instance')).id
    const changed = await object('changeServiceForVirtualMachine', { id, serviceofferingid: medium }, 'virtualmachine')
    assert.deepEqual([changed['cpunumber'], changed['memory']], [2, 1024])
    await assert.rejects(run('scaleVirtualMachine', { id, serviceofferingid: medium }), /has this service offering/)
    const scaled = await run('scaleVirtualMachine', { id, serviceofferingid: large })
    assert.deepEqual([scaled['cpunumber'], scaled['serviceofferingname']], [4, 'Large Instance'])
    await run('startVirtualMachine', { id })
    assert.deepEqual([specOf(id)?.cpus, specOf(id)?.memoryMib], [4, 4096])
    for (const name of ['scaleVirtualMachine', 'changeServiceForVirtualMachine'])
      await assert.rejects(call(name, { id, serviceofferingid: medium }), /is Running; scale is possible only when/)
  })

  test('of a custom offering has the sizes that its call says, within the limits', async () => {
    const custom = await object(
      'createServiceOffering',
      { name: 'custom', customized: true, cpuspeed: 500, mincpunumber: 2, maxcpunumber: 4, maxmemory: 512 },
      'serviceoffering',
    )
    assert.equal(custom['iscustomized'], true)
    assert.deepEqual(custom['serviceofferingdetails'], { mincpunumber: '2', maxcpunumber: '4', maxmemory: '512' })
    const serviceofferingid = custom['id']
    const asked = { serviceofferingid, 'details[0].cpuNumber': 3, 'details[0].memory': 300, 'details[0].note': 'mine' }
    const vm = await deployStopped(asked)
    assert.deepEqual([vm['cpunumber'], vm['cpuspeed'], vm['memory'], vm['details']], [3, 500, 300, { note: 'mine' }])
    const refusals: [Fields, RegExp][] = [
      [{ 'details[0].cpuNumber': 5 }, /details\[0\].cpuNumber must be from 2 to 4/],
      [{ 'details[0].memory': 513 }, /details\[0\].memory must be from 32 to 512/],
      [{ 'details[0].memory': 'much' }, /details\[0\].memory must be a whole number/],
      [{ 'details[0].cpuSpeed': 700 }, /details\[0\].cpuSpeed is fixed by the offering custom/],
    ]
    for (const [wrong, reason] of refusals) await assert.rejects(deployStopped({ ...asked, ...wrong }), reason)
    await assert.rejects(deployStopped({ serviceofferingid }), /cpuNumber is missing; the custom offering/)
    await assert.rejects(deployStopped({ 'details[0].cpuNumber': 2 }), /cpuNumber is fixed by the offering Small/)
    const more = { id: vm['id'], serviceofferingid, 'details[0].cpuNumber': 4, 'details[0].memory': 512 }
    assert.equal((await run('scaleVirtualMachine', more))['cpunumber'], 4)
  })

  test('gets an offering only if that makes sense', async () => {
    const wrong: [Fields, RegExp][] = [
      [{ cpunumber: 1 }, /memory is missing, or customized/],
      [{ customized: true, cpunumber: 1, memory: 64, cpuspeed: 1 }, /leaves nothing open/],
      [{ cpunumber: 1, memory: 64, mincpunumber: 1 }, /mincpunumber is for customized offerings/],
      [{ customized: true, cpunumber: 1, mincpunumber: 1 }, /mincpunumber contradicts cpunumber/],
      [{ customized: true, minmemory: 128, maxmemory: 64 }, /minmemory is 128, more than maxmemory/],
    ]
    for (const [params, reason] of wrong)
      await assert.rejects(call('createServiceOffering', { name: 'wrong', ...params }), reason)
  })

  test('gets a new password and new keys by a new seed, once it is stopped', async () => {
    const { id } = await deploy()
    const before_ = specOf(id)?.firstBoot
    assert.equal(before_?.instanceId, id)
    await assert.rejects(
      call('resetPasswordForVirtualMachine', { id }),
      /resetpassword is possible only when it is Sto/,
    )
    await run('stopVirtualMachine', { id, forced: true })
    const { password } = await run('resetPasswordForVirtualMachine', { id })
    assert.match(String(password), /^\w{14}$/)
    const chosen = await run('resetPasswordForVirtualMachine', { id, password: 'Correct-Horse-7' })
    assert.equal(chosen['password'], 'Correct-Horse-7')
    await call('createSSHKeyPair', { name: 'fresh' })
    await assert.rejects(call('resetSSHKeyForVirtualMachine', { id }), /keypairs is missing/)
    const keyed = await run('resetSSHKeyForVirtualMachine', { id, keypair: 'fresh' })
    assert.equal(keyed['keypairs'], 'fresh')
    await run('startVirtualMachine', { id })
    const now = specOf(id)?.firstBoot
    assert.equal(now?.instanceId, `${id as string}-3`)
    assert.equal(now?.sshKeys.length, 1)
    assert.notEqual(now?.passwordHash, before_?.passwordHash)
    const text = JSON.stringify(await Promise.all([rows('job'), rows('job_step'), rows('event'), rows('vm')]))
    for (const secret of [String(password), 'Correct-Horse-7']) assert.ok(!text.includes(secret), 'in clear')
  })

  test('gets a new root disk from its template, and the old one waits for its time', async () => {
    const { id, password } = await deploy({ clonetype: 'full', diskofferingid: await diskOffering('Small') })
    const [root, data] = await disksOf(id)
    const seed = specOf(id)
    const restored = await run('restoreVirtualMachine', { virtualmachineid: id })
    assert.equal(restored['state'], 'Running')
    assert.match(String(restored['password']), /^\w{14}$/)
    assert.notEqual(restored['password'], password)
    const [newRoot, sameData] = await disksOf(id)
    assert.deepEqual([newRoot?.device_id, sameData], [0, data])
    assert.notEqual(newRoot?.id, root?.id)
    assert.equal(lab.world.layers.get(newRoot?.layer_id as never)?.base, null, 'a full clone again')
    assert.equal(specOf(id)?.firstBoot.instanceId, `${id as string}-1`)
    assert.notEqual(specOf(id)?.generationId, seed?.generationId)
    const old = await volume(root?.id)
    assert.deepEqual([old?.state, old?.vm_id, lab.world.layers.has(root?.layer_id as never)], ['Destroy', null, true])
    await call('recoverVolume', { id: root?.id })
    assert.deepEqual(pick(await volume(root?.id)), { state: 'Ready', isDue: false })
    const { jobid } = await call('destroyVolume', { id: root?.id })
    assert.equal((await ended(lab, jobid as JobId)).state, 'done')
    assert.deepEqual(pick(await volume(root?.id)), { state: 'Destroy', isDue: true })
    await set('expunge.delay', 0)
    await set('expunge.interval', 1)
    await eventually('the old disk is gone', async () => !lab.world.layers.has(root?.layer_id as never))
    await set('expunge.delay', 86_400)
    await set('expunge.interval', 86_400)
  })

  test('keeps a root disk that is protected from deletion', async () => {
    const { id } = await deployStopped()
    const [root] = await disksOf(id)
    const protect = async (deleteprotection: boolean) => {
      const { jobid } = await call('updateVolume', { id: root?.id, deleteprotection })
      await ended(lab, jobid as JobId)
    }
    const refusal = async (name: string, params: Fields) => {
      const { jobid } = await call(name, params)
      return (await ended(lab, jobid as JobId)).problem?.code
    }
    await protect(true)
    assert.equal(await refusal('restoreVirtualMachine', { virtualmachineid: id }), 'delete-protected')
    assert.equal(await refusal('destroyVirtualMachine', { id }), 'delete-protected')
    assert.equal(await refusal('destroyVirtualMachine', { id, expunge: true }), 'delete-protected')
    assert.equal(await stateOf(lab, id as VmId), 'Stopped')
    await protect(false)
    await run('restoreVirtualMachine', { virtualmachineid: id })
  })

  test('gets a new root disk from another template, and of another size', async () => {
    const { id } = await deployStopped({ clonetype: 'linked' })
    const [root] = await disksOf(id)
    const other = await aTemplate(lab, { virtual_bytes: 2 * 2 ** 30 })
    await assert.rejects(
      call('restoreVirtualMachine', { virtualmachineid: id, templateid: other, rootdisksize: 1 }),
      /rootdisksize is 1 GiB; the template .* needs 2 GiB at least/,
    )
    const asked = { virtualmachineid: id, templateid: other, rootdisksize: 3, expunge: true }
    const restored = await run('restoreVirtualMachine', asked)
    assert.deepEqual([restored['state'], restored['templateid'], restored['password']], ['Stopped', other, undefined])
    const [newRoot] = await disksOf(id)
    assert.equal(newRoot?.size_bytes, 3 * 2 ** 30)
    assert.ok(lab.world.layers.get(newRoot?.layer_id as never)?.base, 'a linked clone again')
    await quiet(lab)
    assert.ok(!lab.world.layers.has(root?.layer_id as never), 'the old disk is gone')
    await lab.app.db.updateTable('template').set({ state: 'Inactive' }).where('id', '=', other).execute()
    await assert.rejects(
      call('restoreVirtualMachine', { virtualmachineid: id }),
      /has been deleted; name another in templateid/,
    )
  })

  test('that was installed from an ISO gets an empty root disk, and the ISO into its drive', async () => {
    const iso = await aTemplate(lab, { format: 'ISO' })
    const { id } = await deployStopped({ templateid: iso, diskofferingid: await diskOffering('Small') })
    await run('detachIso', { virtualmachineid: id })
    const [old] = await disksOf(id)
    const restored = await run('restoreVirtualMachine', { virtualmachineid: id })
    assert.deepEqual([restored['isoid'], restored['clonetype'], restored['chaindepth']], [iso, 'full', 1])
    const [root] = await disksOf(id)
    assert.notEqual(root?.id, old?.id)
    assert.deepEqual([root?.size_bytes, root?.state], [5 * 2 ** 30, 'Ready'])
    const linked = await deployStopped({ clonetype: 'linked' })
    const blank = await run('restoreVirtualMachine', { virtualmachineid: linked['id'], templateid: iso })
    assert.deepEqual([blank['isoid'], blank['clonetype'], blank['chaindepth']], [iso, 'full', 1])
  })

  test('without a password-enabled template gets no password', async () => {
    const { id } = await deployStopped({ templateid: await aTemplate(lab) })
    await assert.rejects(call('resetPasswordForVirtualMachine', { id }), /is not password-enabled/)
  })

  test('keeps what is written of it: label, group, details, operating system', async () => {
    const { id } = await deployStopped({ group: 'red' })
    const os = await lab.app.db.selectFrom('os_type').selectAll().executeTakeFirstOrThrow()
    const changed = await object(
      'updateVirtualMachine',
      { id, displayname: 'A label', group: 'blue', haenable: true, ostypeid: os.id, 'details[0].a': 'b' },
      'virtualmachine',
    )
    const { displayname, group, haenable, osdisplayname, details } = changed
    assert.deepEqual(
      { displayname, group, haenable, osdisplayname, details },
      {
        displayname: 'A label',
        group: 'blue',
        haenable: true,
        osdisplayname: os.description,
        details: { a: 'b' },
      },
    )
    const groups = (await call('listInstanceGroups', {}))['instancegroup'] as Fields[]
    assert.deepEqual(
      groups.map(({ name }) => name),
      ['blue', 'red'],
    )
    const blue = groups[0]?.['id']
    assert.equal((await call('listVirtualMachines', { groupid: blue }))['count'], 1)
    await assert.rejects(call('createInstanceGroup', { name: 'red' }), /name is taken/)
    await call('deleteInstanceGroup', { id: blue })
    const cleared = await object('updateVirtualMachine', { id, cleanupdetails: true }, 'virtualmachine')
    assert.deepEqual([cleared['group'], cleared['details']], [undefined, undefined])
  })

  test('has user data up to the limit, which is base64 and nothing else', async () => {
    const data = (bytes: number) => Buffer.alloc(bytes, 'x').toString('base64')
    const { id } = await deployStopped({ userdata: data(32_768) })
    assert.equal((await listed(id, { userdata: true }))['userdata'], data(32_768))
    assert.equal((await listed(id))['userdata'], undefined)
    await assert.rejects(deployStopped({ userdata: data(32_769) }), /has 32769 bytes decoded; at most 32768/)
    await assert.rejects(call('updateVirtualMachine', { id, userdata: 'a b*c' }), /userdata is not base64/)
    await call('updateVirtualMachine', { id, userdata: '' })
    assert.equal((await listed(id, { userdata: true }))['userdata'], undefined)
  })

  test('without a name gets one that nobody has', async () => {
    const { number } = await lab.app.db
      .selectFrom('vm')
      .select('number')
      .orderBy('number', 'desc')
      .executeTakeFirstOrThrow()
    await deployStopped({ name: `VM-${number + 2}` })
    assert.equal((await deployStopped())['name'], `vm-${number + 2}-1`)
  })

  test('shares its host with its affinity group, or keeps away from it', async () => {
    const group = async (type: string) => {
      const { id, jobid } = await call('createAffinityGroup', { name: type, type })
      assert.equal((await ended(lab, jobid as JobId)).state, 'done')
      return id
    }
    const apart = await group('host anti-affinity')
    const first = await deploy({ affinitygroupids: apart })
    assert.deepEqual((first['affinitygroup'] as Fields[])[0]?.['id'], apart)
    const { jobid } = await call('deployVirtualMachine', {
      zoneid: zone,
      serviceofferingid: offering,
      templateid: template,
      affinitygroupnames: 'host anti-affinity',
    })
    const second = await ended(lab, jobid as JobId)
    assert.match(second.problem?.message ?? '', /has a machine of the anti-affinity group host anti-affinity already/)
    await run('stopVirtualMachine', { id: first['id'], forced: true })
    const together = await group('host affinity')
    const regrouped = await run('updateVMAffinityGroup', { id: first['id'], affinitygroupids: together })
    assert.deepEqual(
      (regrouped['affinitygroup'] as Fields[]).map(({ name }) => name),
      ['host affinity'],
    )
    await run('startVirtualMachine', { id: first['id'] })
    assert.equal((await deploy({ affinitygroupids: together }))['state'], 'Running')
    assert.equal((await call('listVirtualMachines', { affinitygroupid: together }))['count'], 2)
    await call('deleteAffinityGroup', { name: 'host affinity' })
    await quiet(lab)
    assert.equal((await call('listAffinityGroups', {}))['count'], 1)
  })

  test('no disk is larger than the largest storage pool', async () => {
    const { id: diskofferingid } = (
      await call('createDiskOffering', { name: 'any', customized: true, tags: 'ssd, fast' })
    )['diskoffering'] as Fields
    const asked = { zoneid: zone, serviceofferingid: offering, templateid: template }
    for (const size of [
      { rootdisksize: 65_536 },
      { 'details[0].rootdisksize': 65_536 },
      { diskofferingid, size: 65_536 },
    ])
      await assert.rejects(call('deployVirtualMachine', { ...asked, ...size }), {
        code: 'volume-larger-than-pool',
      })
    const { id: virtualmachineid } = await deployStopped()
    const { jobid } = await call('restoreVirtualMachine', { virtualmachineid, rootdisksize: 65_536 })
    assert.equal((await ended(lab, jobid as JobId)).problem?.code, 'volume-larger-than-pool')
    assert.equal(
      ((await call('listDiskOfferings', { name: 'any' }))['diskoffering'] as Fields[])[0]?.['tags'],
      'ssd,fast',
    )
  })

  test('is listed by what it has, and counted without being told', async () => {
    const { pool_id } = await lab.app.db.selectFrom('volume').select('pool_id').executeTakeFirstOrThrow()
    const all = await call('listVirtualMachines', { retrieveonlyresourcecount: true })
    assert.deepEqual(Object.keys(all), ['count'])
    const byPool = await call('listVirtualMachines', { storageid: pool_id })
    assert.ok((byPool['count'] as number) > 0)
    await assert.rejects(call('listVirtualMachines', { id: zone, ids: zone }), /ids excludes id/)
  })

  const pick = (row: Row<'volume'> | undefined) => ({ state: row?.state, isDue: row?.destroyed !== null })

  function disksOf(id: unknown) {
    return lab.app.db
      .selectFrom('volume')
      .selectAll()
      .where('vm_id', '=', id as VmId)
      .orderBy('device_id')
      .execute()
  }

  function volume(id: VolumeId | undefined) {
    return lab.app.db
      .selectFrom('volume')
      .selectAll()
      .where('id', '=', id as VolumeId)
      .executeTakeFirst()
  }

  async function diskOffering(name: string): Promise<string> {
    const found = lab.app.db.selectFrom('disk_offering').select('id').where('name', '=', name)
    return (await found.executeTakeFirstOrThrow()).id
  }

  async function listed(id: unknown, params: Fields = {}): Promise<Fields> {
    return ((await call('listVirtualMachines', { id, ...params }))['virtualmachine'] as Fields[])[0] ?? {}
  }

  function rows(table: 'job' | 'job_step' | 'event' | 'vm'): Promise<unknown[]> {
    return lab.app.db.selectFrom(table).selectAll().execute()
  }
})
