// Public addresses and rules for forwarding ports: where they lead, what is refused, and that a port goes before its machine's address
// is given to another.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { newId, type PortForwardingRuleId } from '@ramet/core/ids.ts'
import { asProblem } from '@ramet/core/problem.ts'
import type { Caller } from '../api/caller.ts'
import type { Answer } from '../api/command.ts'
import { expungeVm } from './expunge-vm.ts'
import { removeNic } from './remove-nic.ts'
import { settlePort } from './settle-port.ts'
import { simulatorOf } from '../drivers/simulated/simulator.ts'
import { forwardKey } from '../drivers/simulated/world.ts'
import { silentLog } from '../log.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { ruleLock } from '../store/port-forwarding.ts'
import { aTemplate, type Lab, quiet, run, simulatedLab } from '../testing/lab.ts'
import { aRealm, callerOf, fingerprint } from '../testing/realm.ts'
import { watchForwards } from '../watch/forwards.ts'

describe('a port of the host', () => {
  let lab: Lab
  let alice: Caller
  let bob: Caller
  let machine: Given
  let segment: Given
  let network: Answer
  let vm: Answer
  let ip: Answer
  let port = 30_000

  before(async () => {
    lab = await simulatedLab()
    const realm = await aRealm(lab)
    alice = await callerOf(lab, realm.alice)
    bob = await callerOf(lab, realm.bob)
    const { db } = lab.app
    const zoneid = (await db.selectFrom('zone').select('id').executeTakeFirstOrThrow()).id
    const serviceofferingid = (await db.selectFrom('service_offering').select('id').executeTakeFirstOrThrow()).id
    machine = { zoneid, serviceofferingid, templateid: await aTemplate(lab) }
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })
  beforeEach(async () => {
    const [offering] = await listed(lab, 'listNetworkOfferings', { name: 'DefaultIsolatedNetworkOffering' })
    segment = { zoneid: machine['zoneid'] as string, networkofferingid: offering?.['id'] as string }
    network = (await call(lab, 'createNetwork', { name: 'lab', ...segment }, alice))['network'] as Answer
    vm = await deploy()
    ip = await associate()
  })

  const deploy = async (more: Given = {}) => {
    const given = { ...machine, networkids: network['id'] as string, ...more }
    return (await callJob(lab, 'deployVirtualMachine', given, alice))['virtualmachine'] as Answer
  }
  const associate = async (more: Given = {}) =>
    (await callJob(lab, 'associateIpAddress', { networkid: network['id'] as string, ...more }, alice))[
      'ipaddress'
    ] as Answer
  const ruleTo = (more: Given = {}): Given => ({
    ipaddressid: ip['id'] as string,
    virtualmachineid: vm['id'] as string,
    protocol: 'TCP',
    publicport: (port += 1),
    privateport: 80,
    ...more,
  })
  const make = async (more: Given = {}) =>
    (await callJob(lab, 'createPortForwardingRule', ruleTo(more), alice))['portforwardingrule'] as Answer
  const leads = (at = port) => {
    const forward = lab.world.forwards.get(forwardKey({ address: '127.0.0.1', port: at }))
    return forward && { network: forward.network as string, ...forward.to }
  }
  const rules = () => listed(lab, 'listPortForwardingRules', { networkid: network['id'] as string }, alice)

  async function refused(name: string, given: Given, caller = alice): Promise<string> {
    await quiet(lab)
    const earlier = await fingerprint(lab)
    const problem = await call(lab, name, given, caller).then(() => assert.fail('it was not refused'), asProblem)
    assert.deepEqual(await fingerprint(lab), earlier)
    return `${problem.kind} ${problem.code}: ${problem.message}`
  }

  test('leads to the machine of its rule, elsewhere when that is changed, and nowhere after it', async () => {
    assert.deepEqual([ip['ipaddress'], ip['state']], ['127.0.0.1', 'Allocated'])
    const rule = await make()
    const id = rule['id'] as string
    assert.deepEqual(
      [rule['state'], rule['publicport'], rule['privateport'], rule['protocol'], rule['virtualmachineid']],
      ['Active', String(port), '80', 'tcp', vm['id']],
    )
    assert.deepEqual(leads(), { network: network['id'], address: vm['ipaddress'], port: 80 })
    assert.deepEqual(await rules(), [rule])
    const other = await deploy()
    const change = { id, virtualmachineid: other['id'] as string, privateport: 8080 }
    const changed = await callJob(lab, 'updatePortForwardingRule', change, alice)
    assert.equal((changed['portforwardingrule'] as Answer)['vmguestip'], other['ipaddress'])
    assert.deepEqual(leads(), { network: network['id'], address: other['ipaddress'], port: 8080 })
    await callJob(lab, 'deletePortForwardingRule', { id }, alice)
    assert.equal(leads(), undefined)
    assert.deepEqual(await rules(), [])
  })

  test('goes with its machine, before another gets the address', async () => {
    const earlier = vm['ipaddress'] as string
    const [kept, taken] = [(await make()) && port, (await make()) && port]
    await callJob(lab, 'destroyVirtualMachine', { id: vm['id'] as string }, alice)
    assert.ok(leads(kept) && leads(taken))
    assert.match(await refused('createPortForwardingRule', ruleTo()), /^refused machine-ending: .* is Destroyed/)
    lab.world.faults.set('networks.unforward', 1) // the hypervisor does not let go of the port
    const failed = await run(lab, expungeVm, { vm: vm['id'] as never, evenRunning: true })
    assert.equal(failed.state, 'failed')
    const wanted = { networkids: network['id'] as string, ipaddress: earlier }
    assert.match(await refused('deployVirtualMachine', { ...machine, ...wanted }), /^invalid address-taken/)
    await run(lab, expungeVm, { vm: vm['id'] as never, evenRunning: true })
    assert.deepEqual([leads(kept), leads(taken), await rules()], [undefined, undefined, []])
    const next = await deploy({ ipaddress: earlier })
    assert.equal(next['ipaddress'], earlier)
    assert.deepEqual([leads(kept), leads(taken)], [undefined, undefined])
  })

  test('keeps its NIC', async () => {
    const rule = await make()
    const [first] = vm['nic'] as Answer[]
    const other = await call(lab, 'createNetwork', { ...segment, name: 'other' }, alice)
    const virtualmachineid = vm['id'] as string
    const adding = { virtualmachineid, networkid: (other['network'] as Answer)['id'] as string }
    const { virtualmachine } = await callJob(lab, 'addNicToVirtualMachine', adding, alice)
    const second = ((virtualmachine as Answer)['nic'] as Answer[])[1]
    const nicid = second?.['id'] as string
    await callJob(lab, 'updateDefaultNicForVirtualMachine', { virtualmachineid, nicid }, alice)
    const input = { vm: virtualmachineid as never, nic: first?.['id'] as never }
    assert.equal((await run(lab, removeNic, input)).problem?.code, 'nic-has-rules')
    assert.deepEqual(await rules(), [rule])
    await callJob(lab, 'deletePortForwardingRule', { id: rule['id'] as string }, alice)
    assert.equal((await run(lab, removeNic, input)).state, 'done')
  })

  test('goes with its public address, and the address with its network', async () => {
    await make()
    await callJob(lab, 'disassociateIpAddress', { id: ip['id'] as string }, alice)
    assert.equal(leads(), undefined)
    assert.deepEqual(await rules(), [])
    ip = await associate()
    await run(lab, expungeVm, { vm: vm['id'] as never, evenRunning: true })
    await callJob(lab, 'deleteNetwork', { id: network['id'] as string }, alice)
    const left = await listed(lab, 'listPublicIpAddresses', { id: ip['id'] as string }, alice)
    assert.deepEqual(left, [])
  })

  test('is refused where it cannot be had', async () => {
    const cases: [Given, RegExp][] = [
      [{ publicport: 80 }, /^invalid .*Parameter publicport is 80; ports below 1024/],
      [{ publicport: 0 }, /Parameter publicport/],
      [{ publicport: 70_000 }, /Parameter publicport/],
      [{ publicport: 8000, publicendport: 8010 }, /Parameter publicendport is 8010; a rule is for one port/],
      [{ privateport: 80, privateendport: 81 }, /Parameter privateendport/],
      [{ protocol: 'udp' }, /Parameter protocol must be tcp/],
      [{ cidrlist: '10.0.0.0/8' }, /Parameter cidrlist/],
      [{ vmguestip: '10.1.1.77' }, /Parameter vmguestip is 10\.1\.1\.77/],
    ]
    for (const [given, reason] of cases) assert.match(await refused('createPortForwardingRule', ruleTo(given)), reason)
    await make()
    const taken = ruleTo({ publicport: port })
    assert.match(await refused('createPortForwardingRule', taken), /^conflict port-taken: .*another rule's/)
    const [alone] = await listed(lab, 'listNetworks', { name: 'default' }, alice)
    const asked = { networkid: alone?.['id'] as string }
    assert.match(await refused('associateIpAddress', asked), /^unsupported no-way-in/)
    const again = { networkid: network['id'] as string }
    assert.match(await refused('associateIpAddress', again), /^no-capacity no-public-address: .*127\.0\.0\.1 already/)
    assert.match(await refused('associateIpAddress', { ...again, ipaddress: '192.0.2.1' }), /Parameter ipaddress/)
    assert.match(await refused('createPortForwardingRule', ruleTo(), bob), /^forbidden/)
  })

  test('that another program has fails the job, and nothing is left', async () => {
    lab.world.faults.set('networks.forward', 1)
    const failed = await callJob(lab, 'createPortForwardingRule', ruleTo(), alice)
    assert.match(String(failed['errortext']), /networks\.forward/)
    assert.deepEqual([leads(), await rules()], [undefined, []])
    await make({ publicport: port })
  })

  test('of somebody’s SSH stays that, whatever is asked', async () => {
    const ssh = Number(String(vm['sshaddress']).split(':')[1])
    const failed = await callJob(lab, 'createPortForwardingRule', ruleTo({ publicport: ssh }), alice)
    assert.match(String(failed['errortext']), /taken/)
    assert.equal(leads(ssh)?.port, 22)
  })

  test('agrees with the rules again when the hypervisor’s were changed by hand', async () => {
    const { driver } = simulatorOf(lab.world)
    const { db } = lab.app
    await make()
    const [lost, stray] = [port, (port += 1)]
    const led = leads(lost)
    await driver.networks.unforward('127.0.0.1', lost)
    const to = { address: vm['ipaddress'] as string, port: 22 }
    await driver.networks.forward({ address: '127.0.0.1', port: stray, network: network['id'] as never, to, ssh: null })
    const watch = watchForwards(db, driver, silentLog)
    await watch.settle()
    watch.close()
    assert.deepEqual([leads(lost), leads(stray)], [led, undefined])
    await settlePort({ db, driver }, { address: '127.0.0.1', port: stray })
    assert.equal(leads(Number(String(vm['sshaddress']).split(':')[1]))?.port, 22)
  })

  test('is freed where the job that made its rule was given up, and stays while a job works on it', async () => {
    const { driver } = simulatorOf(lab.world)
    const { db } = lab.app
    const id = (await make())['id'] as PortForwardingRuleId
    const led = leads()
    await db.updateTable('port_forwarding_rule').set({ state: 'Add' }).where('id', '=', id).execute()
    const watch = watchForwards(db, driver, silentLog)
    const jobs = db.updateTable('job').where('lock_key', '=', ruleLock(id))
    const lease = { owner: newId<'server'>(), lease_until: new Date(Date.now() + 3_600_000) }
    await jobs.set({ state: 'running', completed: null, ...lease }).execute()
    await watch.settle()
    assert.deepEqual([leads(), (await rules())[0]?.['state']], [led, 'Add'])
    await jobs.set({ state: 'failed', completed: new Date() }).execute()
    await watch.settle()
    watch.close()
    assert.deepEqual([leads(), await rules()], [undefined, []])
  })

  test('and networks are counted, and limited', async () => {
    const owner = { account: alice.account.name, domainid: alice.domain.id }
    for (const [resourcetype, command, given] of [
      [1, 'associateIpAddress', { networkid: network['id'] as string }],
      [
        6,
        'createNetwork',
        { name: 'more', zoneid: network['zoneid'], networkofferingid: network['networkofferingid'] },
      ],
    ] as [number, string, Given][]) {
      await call(lab, 'updateResourceLimit', { ...owner, resourcetype, max: 1 })
      assert.match(await refused(command, given), /^over-limit over-limit: Account .* of at most 1/)
      await call(lab, 'updateResourceLimit', { ...owner, resourcetype, max: -1 })
    }
  })

  test('carries tags, and so does its network', async () => {
    const rule = await make()
    for (const [kind, id, list] of [
      ['PortForwardingRule', rule['id'], 'listPortForwardingRules'],
      ['PublicIpAddress', ip['id'], 'listPublicIpAddresses'],
      ['Network', network['id'], 'listNetworks'],
    ] as [string, string, string][]) {
      const tag = { 'tags[0].key': 'purpose', 'tags[0].value': id }
      await callJob(lab, 'createTags', { resourcetype: kind, resourceids: id, ...tag }, alice)
      const [found, ...more] = await listed(lab, list, tag, alice)
      assert.deepEqual([found?.['id'], more], [id, []])
      assert.equal((found?.['tags'] as Answer[] | undefined)?.[0]?.['value'], id)
    }
  })
})
