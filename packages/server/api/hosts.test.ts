// Several hosts: machines are spread over them, migrate, leave a host that is to be serviced, and survive one that goes down.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import type { HostId, VmId } from '@ramet/core/ids.ts'
import { deployVm } from '../jobs/deploy-vm.ts'
import { call, callJob, type Given, listed } from '../testing/call.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aDeployment, aTemplate, type Lab, quiet, run, simulatedLab, stateOf } from '../testing/lab.ts'
import type { Answer } from './command.ts'

describe('several hosts', () => {
  let lab: Lab
  let template: Awaited<ReturnType<typeof aTemplate>>
  before(async () => {
    lab = await simulatedLab({ hosts: 3 })
    template = await aTemplate(lab)
  })
  afterEach(async () => {
    for (const name of ['hosts.down', 'failure.percent', 'fail.next', 'migrate.ms']) await reset(`simulated.${name}`)
    await quiet(lab)
    for (const host of await listed(lab, 'listHosts'))
      if (host['resourcestate'] !== 'Enabled') await callJob(lab, 'cancelHostMaintenance', { id: String(host['id']) })
    assert.deepEqual(await loads(), await addedUp(), 'host_load says what the machines add up to')
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  const change = (name: string, value: string | number) => call(lab, 'updateConfiguration', { name, value })
  const reset = (name: string) => call(lab, 'resetConfiguration', { name })
  const hostNamed = async (name: string) => (await listed(lab, 'listHosts', { name }))[0] as Answer & { id: string }
  const nameOfHost = async (vm: VmId) => String((await listed(lab, 'listVirtualMachines', { id: vm }))[0]?.['hostname'])

  async function aRunningVm(set: Given = {}): Promise<VmId> {
    const input = { ...(await aDeployment(lab, template)), ...set }
    const job = await run(lab, deployVm, input as typeof input & { host?: HostId })
    assert.equal(job.state, 'done', job.problem?.message)
    return input.vm
  }
  async function aVmOn(name: string): Promise<VmId> {
    return aRunningVm({ host: (await hostNamed(name)).id })
  }

  async function giveHosts(memoryMib: number): Promise<void> {
    lab.world.hostMemoryMib = memoryMib
    for (const { id } of await listed(lab, 'listHosts')) await callJob(lab, 'reconnectHost', { id: String(id) })
  }

  async function loads() {
    return lab.app.db
      .selectFrom('host_load')
      .select(['host_id', 'machines', 'cpus', 'cpu_mhz', 'memory_mib'])
      .orderBy('host_id')
      .execute()
  }

  /** The same, added up anew. */
  async function addedUp() {
    const hosts = await lab.app.db.selectFrom('host').select('id').orderBy('id').execute()
    const vms = await lab.app.db.selectFrom('vm').selectAll().where('removed', 'is', null).execute()
    return hosts.map(({ id }) => {
      const there = vms.filter(
        vm =>
          ['Starting', 'Running', 'Stopping', 'Migrating'].includes(vm.state) &&
          (vm.host_id === id || vm.target_host_id === id),
      )
      const sum = (of: (vm: (typeof vms)[number]) => number) => there.reduce((total, vm) => total + of(vm), 0)
      return {
        host_id: id,
        machines: there.length,
        cpus: sum(vm => vm.cpus),
        cpu_mhz: sum(vm => vm.cpus * vm.cpu_mhz),
        memory_mib: sum(vm => vm.memory_mib),
      }
    })
  }

  test('machines spread over the hosts, and many at once never take more than there is', async () => {
    await Promise.all(Array.from({ length: 9 }, () => aRunningVm()))
    const counts = (await loads()).map(({ machines }) => machines)
    assert.ok(
      counts.every(count => count > 0),
      counts.join(),
    )
    const most = Math.max(...counts) + 1
    const room = counts.reduce((sum, count) => sum + most - count, 0)
    await giveHosts(256 * most)
    const inputs = await Promise.all(Array.from({ length: room + 3 }, () => aDeployment(lab, template)))
    const jobs = await Promise.all(inputs.map(input => run(lab, deployVm, input)))
    await giveHosts(2 ** 20)
    assert.equal(jobs.filter(({ state }) => state === 'done').length, room)
    const refused = jobs.find(({ state }) => state === 'failed')?.problem
    assert.equal(refused?.kind, 'no-capacity')
    for (const name of ['sim-1', 'sim-2', 'sim-3']) assert.match(refused?.message ?? '', new RegExp(name))
  })

  test('a machine migrates to the host that is named, or to the roomiest', async () => {
    const vm = await aVmOn('sim-1')
    const found = await listed(lab, 'findHostsForMigration', { virtualmachineid: vm })
    assert.deepEqual(
      found.map(({ name, suitableformigration }) => `${String(name)} ${String(suitableformigration)}`).toSorted(),
      ['sim-2 true', 'sim-3 true'],
    )
    const to = await hostNamed('sim-2')
    const { virtualmachine } = await callJob(lab, 'migrateVirtualMachine', { virtualmachineid: vm, hostid: to.id })
    assert.deepEqual(
      [(virtualmachine as Answer)['state'], (virtualmachine as Answer)['hostname']],
      ['Running', 'sim-2'],
    )
    assert.equal(lab.world.machines.get(vm)?.host, to.id)
    await callJob(lab, 'migrateVirtualMachine', { virtualmachineid: vm, autoselect: true })
    assert.notEqual(await nameOfHost(vm), 'sim-2')
  })

  test('a migration that cannot be is refused with the reason, and changes nothing', async () => {
    const vm = await aVmOn('sim-1')
    const [here, there] = [await hostNamed('sim-1'), await hostNamed('sim-2')]
    const migrate = (given: Given) => call(lab, 'migrateVirtualMachine', { virtualmachineid: vm, ...given })
    await assert.rejects(migrate({}), /hostid is missing/)
    await assert.rejects(migrate({ hostid: here.id }), /sim-1, where .* runs already/)
    await assert.rejects(migrate({ hostid: vm }), /there is nothing with the id/)
    await call(lab, 'updateHost', { id: there.id, allocationstate: 'Disable' })
    await assert.rejects(migrate({ hostid: there.id }), /sim-2, which is Up and Disabled/)
    await call(lab, 'updateHost', { id: there.id, allocationstate: 'Enable' })
    await callJob(lab, 'stopVirtualMachine', { id: vm, forced: true })
    await assert.rejects(migrate({ hostid: there.id }), /is Stopped; migrate is possible only when it is Running/)
    assert.equal(await stateOf(lab, vm), 'Stopped')
  })

  test('a migration that fails leaves the machine running where it was', async () => {
    const vm = await aVmOn('sim-1')
    await change('simulated.fail.next', 'machines.migrate')
    const answer = await callJob(lab, 'migrateVirtualMachine', { virtualmachineid: vm, autoselect: true })
    assert.equal(answer['errorcode'], 534)
    assert.deepEqual([await stateOf(lab, vm), await nameOfHost(vm)], ['Running', 'sim-1'])
    await callJob(lab, 'migrateVirtualMachine', { virtualmachineid: vm, autoselect: true }) // the order is used up
    assert.notEqual(await nameOfHost(vm), 'sim-1')
  })

  test('a host that goes into maintenance is left by its machines, gets none, and comes back', async () => {
    const vms = [await aVmOn('sim-1'), await aVmOn('sim-1')]
    const { id } = await hostNamed('sim-1')
    const { host } = await callJob(lab, 'prepareHostForMaintenance', { id })
    assert.equal((host as Answer)['resourcestate'], 'Maintenance')
    assert.equal((host as Answer)['memoryallocatedbytes'], 0)
    for (const vm of vms) {
      assert.equal(await stateOf(lab, vm), 'Running')
      assert.notEqual(await nameOfHost(vm), 'sim-1')
    }
    for (let count = 0; count < 3; count += 1) assert.notEqual(await nameOfHost(await aRunningVm()), 'sim-1')
    const back = await callJob(lab, 'cancelHostMaintenance', { id })
    assert.equal((back['host'] as Answer)['resourcestate'], 'Enabled')
    await aVmOn('sim-1')
  })

  test('a machine that cannot leave keeps the host in ErrorInMaintenance, and is named', async () => {
    const vm = await aVmOn('sim-1')
    const { id } = await hostNamed('sim-1')
    for (const name of ['sim-2', 'sim-3'])
      await call(lab, 'updateHost', { id: (await hostNamed(name)).id, allocationstate: 'Disable' })
    const answer = await callJob(lab, 'prepareHostForMaintenance', { id })
    for (const name of ['sim-2', 'sim-3'])
      await call(lab, 'updateHost', { id: (await hostNamed(name)).id, allocationstate: 'Enable' })
    assert.equal(answer['errorcode'], 431)
    assert.match(String(answer['errortext']), /sim-1 still runs .*No room/)
    assert.equal((await hostNamed('sim-1'))['resourcestate'], 'ErrorInMaintenance')
    assert.equal(await stateOf(lab, vm), 'Running')
    const again = await callJob(lab, 'prepareHostForMaintenance', { id })
    assert.equal((again['host'] as Answer)['resourcestate'], 'Maintenance')
  })

  test('a preparation that is cancelled half way gives the host back', async () => {
    await aVmOn('sim-1')
    const { id } = await hostNamed('sim-1')
    await change('simulated.migrate.ms', 500)
    const { jobid } = await call(lab, 'prepareHostForMaintenance', { id })
    await eventually('it migrates', async () => lab.world.calls.includes('machines.migrate'))
    await callJob(lab, 'cancelHostMaintenance', { id })
    await quiet(lab)
    const job = await call(lab, 'queryAsyncJobResult', { jobid: String(jobid) })
    assert.equal(job['jobstatus'], 3)
    assert.equal((await hostNamed('sim-1'))['resourcestate'], 'Enabled')
  })

  test('a host that goes down takes its machines with it, fails what is asked of it, and comes back', async () => {
    const [gone, alive] = [await aVmOn('sim-1'), await aVmOn('sim-2')]
    const { id } = await hostNamed('sim-1')
    await change('simulated.hosts.down', 'sim-1')
    await eventually('the host is Down', async () => (await hostNamed('sim-1'))['state'] === 'Down')
    await eventually('its machine is Stopped', async () => (await stateOf(lab, gone)) === 'Stopped')
    assert.equal(await stateOf(lab, alive), 'Running')
    assert.equal((await callJob(lab, 'reconnectHost', { id }))['errorcode'], 534)
    assert.equal((await callJob(lab, 'startVirtualMachine', { id: gone, hostid: id }))['errorcode'], 533)
    assert.equal(await stateOf(lab, gone), 'Stopped')
    await callJob(lab, 'startVirtualMachine', { id: gone })
    assert.notEqual(await nameOfHost(gone), 'sim-1')
    await reset('simulated.hosts.down')
    const { host } = await callJob(lab, 'reconnectHost', { id })
    assert.equal((host as Answer)['state'], 'Up')
    const events = await listed(lab, 'listEvents', { resourceid: id, listall: true, pagesize: 50, page: 1 })
    for (const type of ['HOST.DOWN', 'HOST.UP'])
      assert.ok(
        events.some(event => event['type'] === type),
        type,
      )
  })

  test('a host that falls silent during a start fails it with 534, and nothing of the machine is left', async () => {
    const layers = lab.world.layers.size
    const host = await hostNamed('sim-3')
    lab.world.delays.set('machines.start', 300)
    const input = { ...(await aDeployment(lab, template)), host: host.id as HostId }
    const job = run(lab, deployVm, input)
    await eventually('it starts', async () => lab.world.calls.at(-1) === 'machines.start')
    await change('simulated.hosts.down', 'sim-3')
    const { problem } = await job
    lab.world.delays.delete('machines.start')
    assert.deepEqual([problem?.kind, problem?.code], ['unavailable', 'host-silent'])
    assert.equal(await stateOf(lab, input.vm), 'Error')
    assert.equal(lab.world.layers.size, layers)
    assert.equal(lab.world.machines.has(input.vm), false)
  })

  test('of many deployments so many percent fail as were asked to, each without a trace', async () => {
    await change('simulated.failure.seed', 7)
    await change('simulated.failure.percent', 20)
    const inputs = await Promise.all(Array.from({ length: 30 }, () => aDeployment(lab, template)))
    const jobs = await Promise.all(inputs.map(input => run(lab, deployVm, input)))
    const failed = inputs.filter((_, index) => jobs[index]?.state === 'failed')
    assert.ok(failed.length >= 3 && failed.length <= 25, `${failed.length} of 30 failed`)
    assert.equal(jobs.filter(({ state }) => state === 'done').length, 30 - failed.length)
    for (const { vm, disks } of failed) {
      assert.equal(lab.world.machines.has(vm), false)
      assert.equal(lab.world.layers.has(disks[0].layer), false)
    }
  })

  test('hosts are added and deleted, and an occupied one stays', async () => {
    const { zoneid, podid, clusterid } = await hostNamed('sim-1')
    const place = { zoneid: String(zoneid), podid: String(podid), clusterid: String(clusterid) }
    const { host: added } = await call(lab, 'addHost', { ...place, hypervisor: 'Simulator', url: 'http://sim-new' })
    const [host] = added as (Answer & { id: string })[]
    assert.deepEqual([host?.['name'], host?.['state'], host?.['resourcestate']], ['sim-new', 'Up', 'Enabled'])
    const id = String(host?.id)
    const vm = await aRunningVm({ host: id })
    await assert.rejects(call(lab, 'deleteHost', { id, forced: true }), { code: 'host-not-empty' })
    await callJob(lab, 'migrateVirtualMachine', { virtualmachineid: vm, hostid: (await hostNamed('sim-1')).id })
    await assert.rejects(call(lab, 'deleteHost', { id }), { code: 'wrong-host-state' })
    assert.deepEqual(await call(lab, 'deleteHost', { id, forced: true }), { success: true })
    assert.deepEqual(await listed(lab, 'listHosts', { id }), [])
    assert.equal(await stateOf(lab, vm), 'Running')
    await assert.rejects(call(lab, 'addHost', { ...place, hypervisor: 'KVM', url: 'http://x' }), /machines here run on/)
    await assert.rejects(call(lab, 'addHost', { ...place, hypervisor: 'Simulator', url: 'http://sim-1' }), /is taken/)
  })

  test('machines and their hosts are known again after a restart', async () => {
    const vm = await aVmOn('sim-2')
    await lab.restart()
    assert.deepEqual([await stateOf(lab, vm), await nameOfHost(vm)], ['Running', 'sim-2'])
  })
})
