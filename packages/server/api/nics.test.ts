// Every machine has an address of its own in each of its networks, whoever asks for it at the same time.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type JobId, newId, type NetworkId, type VmId } from '@ramet/core/ids.ts'
import { asProblem, Problem } from '@ramet/core/problem.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aNetwork as aSegment, aTemplate, ended, type Lab, quiet, simulatedLab } from '../testing/lab.ts'
import { fingerprint } from '../testing/realm.ts'
import type { Answer } from './command.ts'

describe('the NICs of a machine', () => {
  let lab: Lab
  let base: Given

  before(async () => {
    lab = await simulatedLab()
    const { db } = lab.app
    base = {
      zoneid: (await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()).id,
      serviceofferingid: (await db.selectFrom('service_offering').select('id').executeTakeFirstOrThrow()).id,
      templateid: await aTemplate(lab),
    }
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const deploy = (given: Given = {}) => call(lab, 'deployVirtualMachine', { ...base, startvm: false, ...given })
  const nicsOf = async (vm: unknown) => {
    const [machine] = await listed(lab, 'listVirtualMachines', { id: vm as string })
    return machine?.['nic'] as Answer[]
  }
  const addressOf = async (vm: unknown) => (await nicsOf(vm))[0]?.['ipaddress'] as string

  /** A network whose machines get the addresses .2 to `last`; its gateway stands among them. */
  async function aNetwork(name: string, last: number): Promise<NetworkId> {
    const { db } = lab.app
    const model = await db.selectFrom('network').selectAll().orderBy('created').executeTakeFirstOrThrow()
    const id = newId<'network'>()
    const range = { gateway: '10.9.9.3', start_ip: '10.9.9.2', end_ip: `10.9.9.${last}` }
    const created = new Date()
    await db
      .insertInto('network')
      .values({ ...model, id, name, cidr: '10.9.9.0/24', ...range, created })
      .execute()
    return id
  }

  async function refused(given: Given) {
    await quiet(lab)
    const earlier = await fingerprint(lab)
    const problem = await deploy(given).then(() => assert.fail('it was not refused'), asProblem)
    assert.deepEqual(await fingerprint(lab), earlier)
    return `${problem.kind} ${problem.code}: ${problem.message}`
  }

  test('show address, gateway and netmask as soon as the call is answered', async () => {
    const { id } = await deploy()
    const [{ id: nic, macaddress, ipaddress, networkid, ...shown } = {}] = await nicsOf(id)
    assert.ok(nic && networkid)
    assert.match(macaddress as string, /^52:54:00(:[0-9a-f]{2}){3}$/)
    assert.match(ipaddress as string, /^10\.1\.0\.\d+$/)
    assert.deepEqual(shown, {
      networkname: 'default',
      netmask: '255.255.0.0',
      gateway: '10.1.0.1',
      deviceid: '0',
      isdefault: true,
      type: 'Isolated',
      traffictype: 'Guest',
    })
  })

  test('get no address twice, and machines that find none are refused with the reason', async () => {
    const networkids = await aNetwork('small', 21)
    const answers = await Promise.allSettled(Array.from({ length: 24 }, () => deploy({ networkids })))
    const made = answers.filter(each => each.status === 'fulfilled').map(each => each.value['id'])
    const addresses = await Promise.all(made.map(addressOf))
    const all = Array.from({ length: 20 }, (_, index) => `10.9.9.${index + 2}`).filter(each => each !== '10.9.9.3')
    assert.deepEqual(addresses.toSorted(), all.toSorted())
    for (const answer of answers)
      if (answer.status === 'rejected') assert.equal(asProblem(answer.reason).code, 'no-free-address')
    assert.match(await refused({ networkids }), /^no-capacity .*small.* 10\.9\.9\.2 to 10\.9\.9\.21/)
    await quiet(lab)
    const given = addresses[7] as string
    await callJob(lab, 'destroyVirtualMachine', { id: made[7] as string, expunge: true })
    assert.equal(await addressOf((await deploy({ networkids }))['id']), given)
  })

  test('have the address and MAC that were asked for, if nobody else has them', async () => {
    const networkids = await aNetwork('chosen', 99)
    const wished = { networkids, ipaddress: '10.9.9.40', macaddress: '02:00:00:00:00:AA' }
    const answers = await Promise.allSettled(Array.from({ length: 6 }, () => deploy(wished)))
    const [winner, ...others] = answers.filter(each => each.status === 'fulfilled')
    assert.equal(others.length, 0)
    const [nic] = await nicsOf(winner?.value['id'])
    assert.deepEqual([nic?.['ipaddress'], nic?.['macaddress']], ['10.9.9.40', '02:00:00:00:00:aa'])
    assert.match(await refused(wished), /^invalid address-taken: .*10\.9\.9\.40 is in use in network chosen/)
    assert.match(
      await refused({ ...wished, ipaddress: '10.9.9.41' }),
      /^invalid mac-taken: .*02:00:00:00:00:aa is in use/,
    )
    for (const ipaddress of ['10.9.9.3', '10.9.9.1', '10.9.9.100', '10.9.8.5', '192.168.0.1'])
      assert.match(
        await refused({ networkids, ipaddress }),
        /Parameter ipaddress is .* from 10\.9\.9\.2 to 10\.9\.9\.99/,
      )
    for (const macaddress of ['01:00:00:00:00:01', '52:54:00', 'ff:ff:ff:ff:ff:ff'])
      assert.match(await refused({ networkids, macaddress }), /Parameter macaddress must be a MAC address/)
  })

  test('may be several, in networks that use the same addresses', async () => {
    const [one, two] = [await aNetwork('one', 99), await aNetwork('two', 99)]
    const plan = {
      'iptonetworklist[0].networkId': one,
      'iptonetworklist[0].ip': '10.9.9.7',
      'iptonetworklist[3].networkid': two,
      'iptonetworklist[3].ip': '10.9.9.7',
      'iptonetworklist[3].mac': '02:00:00:00:00:07',
    }
    const nics = await nicsOf((await deploy(plan))['id'])
    assert.deepEqual(
      nics.map(nic => [nic['networkname'], nic['ipaddress'], nic['isdefault'], nic['deviceid']]),
      [
        ['one', '10.9.9.7', true, '0'],
        ['two', '10.9.9.7', false, '1'],
      ],
    )
    const { id } = await deploy({ networkids: `${two},${one}` })
    const several = await nicsOf(id)
    assert.deepEqual(
      several.map(nic => nic['networkname']),
      ['two', 'one'],
    )
    const virtualmachineid = id as string
    assert.deepEqual(await listed(lab, 'listNics', { virtualmachineid }), several)
    assert.deepEqual(await listed(lab, 'listNics', { virtualmachineid, networkid: one }), several.slice(1))
    assert.match(await refused({ ...plan, networkids: one }), /iptonetworklist says what networkids says/)
    assert.match(await refused({ ...plan, ipaddress: '10.9.9.9' }), /iptonetworklist tells addresses/)
    assert.match(await refused({ networkids: `${one},${one}` }), /networkids names network .* twice/)
    assert.match(await refused({ ...plan, 'iptonetworklist[3].networkid': newId() }), /unknown-id: .*iptonetworklist/)
    assert.match(await refused({ 'iptonetworklist[0].ip': '10.9.9.9' }), /iptonetworklist\[0\]\.networkid is missing/)
    assert.match(await refused(plan), /^invalid address-taken/)
  })

  const placesOf = async (vm: unknown) =>
    (await nicsOf(vm)).map(nic => [nic['networkname'], nic['deviceid'], nic['isdefault']])
  const add = (vm: unknown, networkid: string, given: Given = {}) =>
    callJob(lab, 'addNicToVirtualMachine', { virtualmachineid: vm as string, networkid, ...given })
  const withNic = (command: string, vm: unknown, nic: Answer | undefined) =>
    callJob(lab, command, { virtualmachineid: vm as string, nicid: nic?.['id'] as string })

  for (const startvm of [true, false])
    test(`come and go while the machine is ${startvm ? 'running' : 'stopped'}, and take the first free place`, async () => {
      const [one, two] = await segments(`a-${startvm}`, `b-${startvm}`)
      const { id, jobid } = await deploy({ startvm, networkids: one })
      await ended(lab, jobid as JobId)
      const { virtualmachine: shown } = await add(id, two, { ipaddress: '10.1.1.9', macaddress: '02:00:00:00:00:09' })
      assert.deepEqual((shown as Answer)['nic'], await nicsOf(id))
      const [first, second] = await nicsOf(id)
      assert.deepEqual([second?.['ipaddress'], second?.['macaddress']], ['10.1.1.9', '02:00:00:00:00:09'])
      await withNic('updateDefaultNicForVirtualMachine', id, second)
      assert.equal((await listed(lab, 'listVirtualMachines', { id: id as string }))[0]?.['ipaddress'], '10.1.1.9')
      const told = [one, two].map(network => lab.world.networks.get(network)?.cards[0]?.isDefault)
      assert.deepEqual(told, startvm ? [false, true] : [undefined, undefined])
      await withNic('removeNicFromVirtualMachine', id, first)
      assert.deepEqual(await placesOf(id), [[`b-${startvm}`, '1', true]])
      await add(id, one)
      assert.deepEqual(await placesOf(id), [
        [`a-${startvm}`, '0', false],
        [`b-${startvm}`, '1', true],
      ])
      const cards = lab.world.machines.get(id as VmId)?.nics ?? {}
      const ids = (await nicsOf(id)).map(nic => nic['id'])
      assert.deepEqual(Object.values(cards), startvm ? ids : [])
      await callJob(lab, 'destroyVirtualMachine', { id: id as string, expunge: true })
      for (const network of [one, two]) await callJob(lab, 'deleteNetwork', { id: network })
    })

  test('are not added or removed where that makes no sense', async () => {
    const [one, two] = await segments('refused-1', 'refused-2')
    const { id } = await deploy({ networkids: one })
    const virtualmachineid = id as string
    await quiet(lab)
    const [nic] = await nicsOf(id)
    /** Of the call, which changes nothing; or of its job, which leaves the machine's NICs as they were. */
    const why = async (command: string, given: Given) => {
      const [earlier, nics] = [await fingerprint(lab), await nicsOf(id)]
      const answer = await call(lab, command, { virtualmachineid, ...given }).catch(asProblem)
      if (answer instanceof Problem) assert.deepEqual(await fingerprint(lab), earlier)
      const problem = answer instanceof Problem ? answer : (await ended(lab, answer['jobid'] as JobId)).problem
      assert.deepEqual(await nicsOf(id), nics)
      return `${problem?.kind} ${problem?.code}: ${problem?.message}`
    }
    const remove = { nicid: nic?.['id'] as string }
    assert.match(
      await why('removeNicFromVirtualMachine', remove),
      /^invalid nic-is-default: .*make another the default/,
    )
    assert.match(await why('removeNicFromVirtualMachine', { nicid: newId() }), /^invalid unknown-id: .*nicid/)
    assert.match(await why('addNicToVirtualMachine', { networkid: newId() }), /^invalid unknown-id: .*networkid/)
    assert.match(await why('addNicToVirtualMachine', { networkid: one }), /^refused nic-in-network: .*refused-1/)
    const outside = { networkid: two, ipaddress: '10.1.2.9' }
    assert.match(await why('addNicToVirtualMachine', outside), /Parameter ipaddress is 10\.1\.2\.9/)
    await add((await deploy({ networkids: one }))['id'], two, { ipaddress: '10.1.1.9' })
    await quiet(lab)
    const taken = { networkid: two, ipaddress: '10.1.1.9' }
    assert.match(await why('addNicToVirtualMachine', taken), /^invalid address-taken/)
    const more = await segments(...Array.from({ length: 9 }, (_, index) => `more-${index}`))
    for (const network of more) await add(id, network)
    await quiet(lab)
    assert.match(await why('addNicToVirtualMachine', { networkid: two }), /^refused nics-full: .* 10 NICs/)
  })

  /** Networks of the hypervisor's own, with the same addresses. */
  async function segments(...names: string[]): Promise<[NetworkId, NetworkId, ...NetworkId[]]> {
    const made = await Promise.all(names.map(name => aSegment(lab, { name })))
    return made as [NetworkId, NetworkId, ...NetworkId[]]
  }
})
