// Networks that accounts make: which addresses they may have, who may be in them, and that none goes while machines are in it.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type NetworkId, newId } from '@ramet/core/ids.ts'
import { asProblem } from '@ramet/core/problem.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { aTemplate, type Lab, quiet, simulatedLab } from '../testing/lab.ts'
import { aRealm, callerOf, fingerprint, type Realm } from '../testing/realm.ts'
import type { Caller } from './caller.ts'
import type { Answer } from './command.ts'

describe('a network', () => {
  let lab: Lab
  let realm: Realm
  let who: Record<'root' | 'eastAdmin' | 'alice' | 'bob' | 'carol' | 'dave', Caller>
  let base: Given
  let machine: Given
  let shared: Given

  before(async () => {
    lab = await simulatedLab()
    realm = await aRealm(lab)
    const names = ['root', 'eastAdmin', 'alice', 'bob', 'carol', 'dave'] as const
    const callers = await Promise.all(names.map(async name => [name, await callerOf(lab, realm[name])] as const))
    who = Object.fromEntries(callers) as typeof who
    const { db } = lab.app
    const zoneid = (await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()).id
    const serviceofferingid = (await db.selectFrom('service_offering').select('id').executeTakeFirstOrThrow()).id
    base = { name: 'lab', zoneid, networkofferingid: await offering('DefaultIsolatedNetworkOffering') }
    shared = { ...base, networkofferingid: await offering('DefaultSharedNetworkOffering') }
    machine = { zoneid, serviceofferingid, templateid: await aTemplate(lab) }
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const offering = async (name: string) => (await listed(lab, 'listNetworkOfferings', { name }))[0]?.['id'] as string
  const make = async (given: Given = {}, caller = who.alice) =>
    (await call(lab, 'createNetwork', { ...base, ...given }, caller))['network'] as Answer
  const deploy = (networkids: unknown, caller = who.alice, more: Given = {}) =>
    callJob(lab, 'deployVirtualMachine', { ...machine, networkids: networkids as string, ...more }, caller)
  const vmOf = (answer: Answer) => answer['virtualmachine'] as Answer
  const shown = async (id: unknown, caller = who.alice) =>
    (await listed(lab, 'listNetworks', { id: id as string }, caller))[0]

  async function refused(name: string, given: Given, caller = who.alice): Promise<string> {
    await quiet(lab)
    const earlier = await fingerprint(lab)
    const problem = await call(lab, name, given, caller).then(() => assert.fail('it was not refused'), asProblem)
    assert.deepEqual(await fingerprint(lab), earlier)
    return `${problem.kind} ${problem.code}: ${problem.message}`
  }

  test('has the addresses that its gateway and netmask say', async () => {
    const { id, created, zoneid, zonename, networkofferingid, ...fields } = await make({
      gateway: '192.168.7.254',
      netmask: '255.255.255.0',
      networkdomain: 'lab.internal',
    })
    assert.ok(id && created && zoneid && zonename && networkofferingid)
    assert.equal(fields['cidr'], '192.168.7.0/24')
    assert.deepEqual([fields['startip'], fields['endip']], ['192.168.7.1', '192.168.7.253'])
    assert.deepEqual([fields['state'], fields['acltype'], fields['type']], ['Allocated', 'Account', 'Isolated'])
    assert.deepEqual([fields['netmask'], fields['dns1']], ['255.255.255.0', '192.168.7.254'])
    assert.equal(fields['networkdomain'], 'lab.internal')
    assert.deepEqual(await shown(id), { ...fields, id, created, zoneid, zonename, networkofferingid })
  })

  test('with addresses that cannot be is refused by the parameter', async () => {
    const wrong: [Given, RegExp][] = [
      [{ gateway: '10.1.1.0' }, /Parameter gateway .* no machine of 10\.1\.1\.0\/24/],
      [{ gateway: '10.1.1.255' }, /Parameter gateway/],
      [{ gateway: '127.0.0.1', netmask: '255.255.255.0' }, /Parameter gateway .* special meaning/],
      [{ gateway: '224.0.0.1' }, /special meaning/],
      [{ gateway: '0.0.0.5' }, /special meaning/],
      [{ gateway: '10.1.1.1', netmask: '255.0.255.0' }, /Parameter netmask/],
      [{ gateway: '10.1.1.1', netmask: '255.255.255.254' }, /Parameter netmask/],
      [{ gateway: '126.0.0.1', netmask: '254.0.0.0' }, /Parameter netmask/],
      [{ startip: '10.1.2.1' }, /Parameter startip/],
      [{ startip: '10.1.1.9', endip: '10.1.1.8' }, /Parameter endip .* before/],
      [{ startip: '10.1.1.1', endip: '10.1.1.1' }, /Parameter endip .* no address for machines/],
      [{ networkdomain: 'a..b' }, /Parameter networkdomain/],
      [{ networkdomain: 'x\\,dhcp-option=6' }, /Parameter networkdomain/],
      [{ networkofferingid: await offering('NatNetworkOffering') }, /Parameter networkofferingid/],
      [{ networkofferingid: newId() }, /unknown-id: .*networkofferingid/],
      [{ acltype: 'Domain' }, /Parameter acltype/],
    ]
    for (const [given, message] of wrong) assert.match(await refused('createNetwork', { ...base, ...given }), message)
  })

  test('is one of its own: machines of two networks with the same addresses are told apart', async () => {
    const [one, two] = [await make({ name: 'one' }), await make({ name: 'two' })]
    const fixed = { ipaddress: '10.1.1.9', macaddress: '02:00:00:00:00:09' }
    const [first, second] = [
      vmOf(await deploy(one['id'], who.alice, fixed)),
      vmOf(await deploy(two['id'], who.alice, fixed)),
    ]
    for (const vm of [first, second]) assert.equal(vm['ipaddress'], '10.1.1.9')
    assert.notEqual(first['sshaddress'], second['sshaddress'])
    const cards = (id: unknown) => lab.world.networks.get(id as never)?.cards.map(({ vm }) => vm)
    assert.deepEqual([cards(one['id']), cards(two['id'])], [[first['id']], [second['id']]])
    assert.equal((await shown(one['id']))?.['state'], 'Implemented')
    await callJob(lab, 'stopVirtualMachine', { id: first['id'] as string, forced: true }, who.alice)
    assert.equal((await shown(one['id']))?.['state'], 'Allocated')
  })

  test('stays while machines have NICs in it, and nobody gets one when it goes', async () => {
    const { id } = await make()
    const vm = vmOf(await deploy(id))
    const failed = await callJob(lab, 'deleteNetwork', { id: id as string, forced: true }, who.alice)
    assert.match(
      failed['errortext'] as string,
      new RegExp(`Machines have NICs in network lab: ${vm['name'] as string}`),
    )
    assert.equal((await shown(id))?.['canusefordeploy'], true)
    await lab.app.db
      .updateTable('network')
      .set({ state: 'Destroy' })
      .where('id', '=', id as never)
      .execute()
    assert.match(await refused('deployVirtualMachine', { ...machine, networkids: id as string }), /network-ending/)
    await lab.app.db
      .updateTable('network')
      .set({ state: 'Allocated' })
      .where('id', '=', id as never)
      .execute()
    await callJob(lab, 'destroyVirtualMachine', { id: vm['id'] as string, expunge: true }, who.root)
    assert.deepEqual(await callJob(lab, 'deleteNetwork', { id: id as string }, who.alice), { success: true })
    assert.equal(await shown(id), undefined)
    assert.equal(lab.world.networks.has(id as never), false)
  })

  test('goes or gets a machine when both are asked for at once, never both', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await make()
      const [deployed, deleted] = await Promise.all([
        deploy(id).then(vmOf, () => null),
        callJob(lab, 'deleteNetwork', { id: id as string }, who.alice),
      ])
      assert.equal(deployed !== null, deleted['success'] !== true, JSON.stringify(deleted))
    }
  })

  test('is used by its account alone, and a shared one by the accounts of its domain', async () => {
    const { id } = await make()
    for (const [caller, message] of [
      [who.bob, /^forbidden not-yours/],
      [who.root, /^invalid .*which account admin may not use/],
    ] as const)
      assert.match(await refused('deployVirtualMachine', { ...machine, networkids: id as string }, caller), message)
    assert.equal(await shown(id, who.bob), undefined)
    assert.match(await refused('createNetwork', shared), /^forbidden shared-by-administrators/)
    assert.match(await refused('createNetwork', { ...shared, domainid: realm.west }, who.eastAdmin), /^forbidden/)
    const whole = await make({ ...shared, name: 'whole' }, who.eastAdmin)
    const upper = await make({ ...shared, name: 'upper', subdomainaccess: false }, who.eastAdmin)
    const seen = async (caller: Caller) =>
      (await listed(lab, 'listNetworks', { acltype: 'Domain' }, caller)).map(({ name }) => name)
    assert.deepEqual(await seen(who.bob), ['default', 'upper', 'whole'])
    assert.deepEqual(await seen(who.carol), ['default', 'whole'])
    assert.deepEqual(await seen(who.dave), ['default'])
    assert.ok(vmOf(await deploy(whole['id'], who.carol)))
    assert.match(
      await refused('deployVirtualMachine', { ...machine, networkids: upper['id'] as string }, who.carol),
      /^forbidden/,
    )
    assert.match(await refused('deleteNetwork', { id: whole['id'] as string }, who.carol), /^forbidden/)
  })

  test('is not the default one of anybody', async () => {
    await make({ ...shared, name: 'later' }, who.root)
    const vm = vmOf(await callJob(lab, 'deployVirtualMachine', machine, who.alice))
    assert.equal((vm['nic'] as Answer[])[0]?.['networkname'], 'default')
  })

  test('is renamed, and its segment told what names end in', async () => {
    const { id } = await make()
    await deploy(id)
    const to = { name: 'renamed', displaytext: 'said', networkdomain: 'new.internal' }
    const { network } = await callJob(lab, 'updateNetwork', { id: id as string, ...to }, who.alice)
    assert.deepEqual([(network as Answer)['name'], (network as Answer)['networkdomain']], ['renamed', 'new.internal'])
    assert.equal(lab.world.networks.get(id as never)?.spec.domain, 'new.internal')
    lab.world.networks.delete(id as never)
    assert.deepEqual(await callJob(lab, 'restartNetwork', { id: id as string }, who.alice), { success: true })
    assert.equal(lab.world.networks.get(id as never)?.spec.cidr, '10.1.1.0/24')
  })

  test('leads outwards where its offering says so, and then shares no address with another of its account that does', async () => {
    const offered = await call(lab, 'createNetworkOffering', {
      ...{ name: 'outwards', guestiptype: 'Isolated', enable: true, networkrate: 10 },
      supportedservices: 'Dhcp,Dns,SourceNat',
    })
    const { id, service, networkrate, hostaccess } = offered['networkoffering'] as Answer
    const services = ['Dhcp', 'Dns', 'PortForwarding', 'SourceNat']
    assert.deepEqual([service, networkrate, hostaccess], [services.map(name => ({ name })), 10, false])
    const out = { networkofferingid: id as string, gateway: '10.8.0.1' }
    const network = await make(out)
    const made = vmOf(await deploy(network['id']))
    const world = lab.world.networks.get(network['id'] as NetworkId)
    assert.equal(world?.spec.outward, 'past-host')
    assert.ok(made['ipaddress'])
    const given = { ...base, ...out, gateway: '10.8.128.1', netmask: '255.255.0.0' }
    assert.match(await refused('createNetwork', given), /^conflict networks-overlap: .* overlaps with 10\.8\.0\.0\/24/)
    await make({ gateway: '10.8.0.1' })
    await make(out, who.bob)
    const wrong = { name: 'wrong', guestiptype: 'Isolated' }
    const problem = (more: Given) => call(lab, 'createNetworkOffering', { ...wrong, ...more }).then(() => '', String)
    assert.match(await problem({ supportedservices: 'Dhcp,Lb' }), /supportedservices names Lb; there are Dhcp/)
    assert.match(await problem({ hostaccess: true }), /hostaccess is for an offering with a way out/)
    assert.match(await problem({ networkrate: 0 }), /networkrate must be from 1/)
  })

  test('gives its cards the rate of its offering, and a machine’s default one that of the service offering', async () => {
    const limited = { guestiptype: 'Isolated', enable: true, networkrate: 10, supportedservices: 'Dhcp,Dns' }
    const { id: networkofferingid } = (await call(lab, 'createNetworkOffering', { name: 'ten', ...limited }))[
      'networkoffering'
    ] as Answer
    const sizes = { cpunumber: 1, cpuspeed: 1000, memory: 64 }
    const [quick, plain] = await Promise.all(
      [{ networkrate: 50 }, {}].map(async rate => {
        const given = { name: 'rated', displaytext: 'rated', ...sizes, ...rate }
        return (await call(lab, 'createServiceOffering', given))['serviceoffering'] as Answer
      }),
    )
    assert.deepEqual([quick?.['networkrate'], plain?.['networkrate']], [50, undefined])
    const two = [(await make({ networkofferingid: networkofferingid as string }))['id'], (await make())['id']]
    const ratesOf = async (offered: Answer | undefined, networks: unknown[]) => {
      const more = { serviceofferingid: offered?.['id'] as string }
      const { id } = vmOf(await deploy(networks.join(), who.alice, more))
      const started = lab.world.starts.findLast(({ vm }) => vm === id)
      return started?.nics.map(nic => (nic.kind === 'network' ? nic.mbps : null))
    }
    assert.deepEqual(await ratesOf(quick, two), [50, undefined])
    assert.deepEqual(await ratesOf(quick, two.toReversed()), [50, 10])
    assert.deepEqual(await ratesOf(plain, two), [10, undefined])
    const wrong = call(lab, 'createServiceOffering', { name: 'wrong', ...sizes, networkrate: 0 })
    await assert.rejects(wrong, /networkrate must be from 1/)
  })

  test('is made of offerings that are enabled', async () => {
    const name = newId()
    const made = { name, guestiptype: 'Isolated', sshforward: false }
    const { networkoffering } = await call(lab, 'createNetworkOffering', made, who.root)
    const { id, state } = networkoffering as Answer
    assert.equal(state, 'Disabled')
    const networkofferingid = id as string
    assert.match(await refused('createNetwork', { ...base, networkofferingid }), /which is disabled/)
    assert.match(await refused('createNetworkOffering', made, who.root), /name-taken/)
    await call(lab, 'updateNetworkOffering', { id: networkofferingid, state: 'Enabled' }, who.root)
    const network = await make({ networkofferingid })
    assert.equal(vmOf(await deploy(network['id']))['sshaddress'], undefined)
    await call(lab, 'deleteNetworkOffering', { id: networkofferingid }, who.root)
    assert.match(await refused('createNetwork', { ...base, networkofferingid }), /unknown-id/)
    assert.equal((await shown(network['id']))?.['networkofferingname'], name)
  })

  test('goes with its account', async () => {
    const { id } = await make({}, who.dave)
    const common = await make({ ...shared, name: 'common', domainid: realm.west }, who.root)
    await deploy(id, who.dave)
    assert.deepEqual(await callJob(lab, 'deleteAccount', { id: realm.dave.account }, who.root), { success: true })
    assert.equal(await shown(id, who.root), undefined)
    assert.ok(await shown(common['id'], who.root))
  })
})
