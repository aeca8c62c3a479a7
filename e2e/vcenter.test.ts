// A cluster of a vCenter as an operator has it: a real server process beside vcsim with our extension (docs/hypervisors/vsphere.md). Added by
// its address and password, deployed to, killed at work, and let go of; the password is to be found nowhere.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { aVcenter, noVcenter, type TestVcenter } from '@ramet/server/drivers/vsphere/a-vcenter.ts'
import { pathOf } from '@ramet/server/drivers/vsphere/cluster.ts'
import { cardsOf, chainOf, disksOf } from '@ramet/server/drivers/vsphere/devices.ts'
import { Inventory } from '@ramet/server/drivers/vsphere/inventory.ts'
import type { MachineRef } from '@ramet/server/drivers/vsphere/ours.ts'
import { powerOff } from '@ramet/server/drivers/vsphere/power.ts'
import { Vcenter } from '@ramet/server/drivers/vsphere/vcenter.ts'
import { readObject } from '@ramet/server/drivers/vsphere/vim25/properties.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { type DeployOptions, type Fields, list } from './world.ts'

describe('a cluster of a vCenter', { skip: noVcenter(), timeout: 300_000 }, () => {
  let folder: string
  let server: ServerProcess
  let vcenter: TestVcenter
  let eyes: Vcenter
  /** Of a machine that was there before. */
  let source: string
  let clusterId: string
  let templateId: string
  let linked: Fields
  /** All that anybody was answered or told. */
  const said: string[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ramet-vc-'))
    await chmod(folder, 0o711)
    vcenter = await aVcenter('-task-delay', '60')
    await writeFile(join(folder, 'password'), `${vcenter.password}\n`, { mode: 0o600 })
    eyes = await Vcenter.open(vcenter)
    const inventory = await Inventory.open(eyes)
    const [first] = inventory.all('VirtualMachine').keys()
    assert.ok(first)
    source = pathOf(inventory, first)
    await inventory.close()
    await powerOff(eyes, first)
    server = await startServer(dataDir())
  })
  after(async () => {
    await eyes?.close()
    await server?.end('SIGTERM')
    await vcenter?.stop()
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  const dataDir = () => join(folder, 'data')
  const noted = (answer: Fields): Fields => {
    said.push(JSON.stringify(answer))
    return answer
  }
  const run = async (command: string, parameters: DeployOptions = {}) =>
    noted(await server.client.run(command, parameters))
  const ask = async (command: string, object: string, parameters: DeployOptions = {}) => {
    const found = await list(server.client, command, object, { listall: true, ...parameters })
    noted({ found })
    return found
  }
  const idOf = async (command: string, object: string) => String((await ask(command, object))[0]?.['id'])
  const machine = async (id: unknown) =>
    (await ask('listVirtualMachines', 'virtualmachine', { id: String(id) }))[0] as Fields
  const names = (found: readonly Fields[]) => found.map(each => String(each['name'])).toSorted()

  async function connection(set: Record<string, string> = {}): Promise<Record<string, string>> {
    const url = `https://${new URL(vcenter.url).host}/DC0/DC0_C0`
    const where = { zoneid: await idOf('listZones', 'zone'), podid: await idOf('listPods', 'pod') }
    const kind = { clustername: 'vmware', clustertype: 'ExternalManaged', hypervisor: 'VMware' }
    const thumbprint = vcenter.trust.thumbprint.toUpperCase().match(/../g)?.join(':') ?? ''
    return { ...where, ...kind, url, username: vcenter.username, thumbprint, ...set }
  }

  /** By the command line, with the password from a file. */
  function addCluster(given: Record<string, string>): Promise<string> {
    const main = join(import.meta.dirname, '../packages/cli/main.ts')
    const pairs = Object.entries(given).map(([name, value]) => `${name}=${value}`)
    const words = [main, 'addCluster', ...pairs, '--json', '--data-dir', dataDir()]
    return new Promise((resolve, reject) => {
      execFile(process.execPath, words, (error, stdout, stderr) => {
        said.push(stdout, stderr)
        if (error) reject(new Error(stderr))
        else resolve(stdout)
      })
    })
  }

  async function deployed(set: DeployOptions): Promise<Fields> {
    const [offering] = await ask('listServiceOfferings', 'serviceoffering', { name: 'Tiny Instance' })
    const given = { zoneid: await idOf('listZones', 'zone'), serviceofferingid: String(offering?.['id']), ...set }
    return (await run('deployVirtualMachine', given))['virtualmachine'] as Fields
  }

  function ended(jobid: unknown): Promise<Fields> {
    return eventually('the job has ended', async () => {
      const job = await server.client.call('queryAsyncJobResult', { jobid: String(jobid) })
      return job['jobstatus'] === 0 ? null : noted(job)
    })
  }

  /** Machines in our folder of the vCenter, by their names there. */
  async function there(): Promise<string[]> {
    const inventory = await Inventory.open(eyes)
    const paths = [...inventory.all('VirtualMachine').keys()].map(ref => pathOf(inventory, ref))
    await inventory.close()
    return paths.filter(path => path.includes('/Ramet/')).toSorted()
  }

  test('is refused with its thumbprint, for its password, by its name; and then it is there, with hosts and datastores', async () => {
    const { thumbprint = '', ...unknown } = await connection({ password: `@${join(folder, 'password')}` })
    await assert.rejects(addCluster(unknown), (error: Error) => error.message.includes(thumbprint))
    await assert.rejects(addCluster({ ...unknown, thumbprint, password: 'wr0ng-of-mine' }), /user name|password/)
    await assert.rejects(addCluster({ ...unknown, thumbprint, url: unknown['url']!.replace('DC0_C0', 'C9') }), /DC0_C0/)
    assert.ok(!said.some(text => text.includes('wr0ng-of-mine')))
    assert.deepEqual(names(await ask('listClusters', 'cluster', { clustertype: 'ExternalManaged' })), [])

    const {
      cluster: [added],
    } = JSON.parse(await addCluster({ ...unknown, thumbprint })) as { cluster: [Fields] }
    clusterId = String(added['id'])
    assert.deepEqual([added['guestvswitchname'], added['thumbprint']], ['VM Network', thumbprint])
    const hosts = await ask('listHosts', 'host', { clusterid: clusterId })
    assert.deepEqual(
      hosts.map(({ name, state }) => `${String(name)} ${String(state)}`).toSorted(),
      [0, 1, 2].map(number => `DC0_C0_H${number} Up`),
    )
    const pools = await ask('listStoragePools', 'storagepool', { clusterid: clusterId })
    assert.deepEqual(
      pools.map(({ name, state }) => [name, state]),
      [['LocalDS_0', 'Up']],
    )
  })

  test('has a machine of the inventory become a template', async () => {
    const found = await ask('listUnmanagedInstances', 'unmanagedinstance', { clusterid: clusterId })
    assert.ok(found.some(each => each['path'] === source && each['powerstate'] === 'PowerOff'))
    const running = found.find(each => each['powerstate'] === 'PowerOn')
    const given = { format: 'OVA', hypervisor: 'VMware', zoneid: await idOf('listZones', 'zone'), ispublic: true }
    const register = (name: string, path: unknown) =>
      server.client.call('registerTemplate', { ...given, name, url: `inventory:${String(path)}` })
    await assert.rejects(register('runs', running?.['path']), /runs/)
    const { template } = noted(await register('adopted', source))
    templateId = String((template as Fields[])[0]?.['id'])
    await eventually('the template is ready', async () => {
      const [shown] = await ask('listTemplates', 'template', { id: templateId, templatefilter: 'all' })
      if (String(shown?.['status']).startsWith('Failed')) throw new Error(String(shown?.['status']))
      return shown?.['isready']
    })
  })

  test('has linked and full clones, which run, stop, start, and stay where they are when the server is killed', async () => {
    const made = await Promise.all([
      deployed({ templateid: templateId, name: 'linked' }),
      deployed({ templateid: templateId, name: 'full', clonetype: 'full' }),
    ])
    const [first, full] = made
    linked = first
    assert.deepEqual(
      made.map(({ state, clonetype, hypervisor }) => [state, clonetype, hypervisor]),
      [
        ['Running', 'linked', 'VMware'],
        ['Running', 'full', 'VMware'],
      ],
    )
    const hosts = await ask('listHosts', 'host', { clusterid: clusterId })
    assert.ok(made.every(each => hosts.some(({ id }) => id === each['hostid'])))
    assert.equal((await there()).length, 2)
    await run('stopVirtualMachine', { id: String(first['id']) })
    await server.end('SIGKILL')
    server = await startServer(dataDir())
    assert.deepEqual(
      [(await machine(first['id']))['state'], (await machine(full['id']))['state']],
      ['Stopped', 'Running'],
    )
    await run('startVirtualMachine', { id: String(first['id']) })
    assert.equal((await machine(first['id']))['state'], 'Running')
    const tasks = await ask('listEvents', 'event', { type: 'VM.TASK', pagesize: 500, page: 1 })
    assert.ok(
      tasks.some(({ description }) => /CloneVM_Task.*task-\d+|task-\d+.*CloneVM_Task/.test(String(description))),
    )
    await run('destroyVirtualMachine', { id: String(full['id']), expunge: true })
    assert.equal((await there()).length, 1)
  })

  test('has its networks, port groups of a distributed switch among them, which machines are asked to be in, and data volumes', async () => {
    const networks = await ask('listNetworks', 'network', { type: 'Shared' })
    const ofCluster = networks.filter(each => each['clusterid'] === clusterId)
    assert.deepEqual(names(ofCluster), ['DC0_DVPG0', 'VM Network'])
    const idsOf = (...wanted: string[]) =>
      wanted.map(name => String(ofCluster.find(each => each['name'] === name)?.['id'])).join()
    const { id } = await deployed({ templateid: templateId, name: 'two', networkids: idsOf('DC0_DVPG0', 'VM Network') })
    const { nic } = await machine(id)
    assert.deepEqual(names((nic as Fields[]).map(each => ({ name: each['networkname'] }))), names(ofCluster))
    const query = { uuid: String(id), vmSearch: true, instanceUuid: true }
    const ref = (await eyes.call(eyes.connection.content.searchIndex!, 'FindByUuid', query)) as MachineRef
    const devices = (await readObject(eyes.connection, ref, ['config.hardware.device']))['config.hardware.device']
    const cards = cardsOf(devices).map(card => [card.macAddress, card.backing?.is])
    const kinds = ['VirtualEthernetCardDistributedVirtualPortBackingInfo', 'VirtualEthernetCardNetworkBackingInfo']
    assert.deepEqual(
      cards,
      (nic as Fields[]).map(({ macaddress }, at) => [macaddress, kinds[at]]),
    )
    const [offering] = (await ask('listDiskOfferings', 'diskoffering')).filter(each => each['iscustomized'])
    const asked = { name: 'data', zoneid: await idOf('listZones', 'zone'), diskofferingid: String(offering?.['id']) }
    const { volume } = await run('createVolume', { ...asked, size: 1 })
    const data = { id: String((volume as Fields)['id']) }
    await run('attachVolume', { ...data, virtualmachineid: String(id) })
    await run('resizeVolume', { ...data, size: 2 })
    const held = disksOf((await readObject(eyes.connection, ref, ['config.hardware.device']))['config.hardware.device'])
    assert.deepEqual(
      held.slice(1).map(disk => [chainOf(disk), disk.capacityInBytes]),
      [[[`[LocalDS_0] Ramet-volumes/${data.id}.vmdk`], 2 ** 31]],
    )
    await run('destroyVirtualMachine', { id: String(id), expunge: true })
    assert.equal((await ask('listVolumes', 'volume', data))[0]?.['state'], 'Ready')
    await server.client.call('deleteVolume', data)
  })

  test('has VM snapshots, to which machines revert, of which machines are made, and which go', async () => {
    const id = String(linked['id'])
    const take = async (name: string, snapshotmemory: boolean) => {
      const { vmsnapshot } = await run('createVMSnapshot', { virtualmachineid: id, name, snapshotmemory })
      return String((vmsnapshot as Fields)['id'])
    }
    const [a, b] = [await take('a', false), await take('b', true)]
    await run('revertToVMSnapshot', { vmsnapshotid: b })
    assert.equal((await machine(id))['state'], 'Running')
    await run('stopVirtualMachine', { id })
    await run('revertToVMSnapshot', { vmsnapshotid: a })
    assert.equal((await machine(id))['state'], 'Stopped')
    const [current] = await ask('listVMSnapshot', 'vmSnapshot', { vmsnapshotid: a })
    assert.equal(current?.['current'], true)
    const twin = await deployed({ vmsnapshotid: a, name: 'twin' })
    assert.equal(twin['state'], 'Running')
    await run('destroyVirtualMachine', { id: String(twin['id']), expunge: true })
    for (const each of [b, a]) await run('deleteVMSnapshot', { vmsnapshotid: each })
    assert.deepEqual(await ask('listVMSnapshot', 'vmSnapshot', { virtualmachineid: id }), [])
  })

  test('has instant clones of a machine that runs, one of them when the server was killed at it, and linked and full ones', async () => {
    const id = String(linked['id'])
    await run('startVirtualMachine', { id })
    linked = await machine(id)
    const clone = (set: DeployOptions) => run('cloneVirtualMachine', { virtualmachineid: id, ...set })
    const { virtualmachine } = await clone({ clonetype: 'instant', count: 2, name: 'twin' })
    const made = virtualmachine as Fields[]
    assert.deepEqual(
      made.map(({ name, state, clonetype, hostid }) => [name, state, clonetype, hostid]),
      ['twin-1', 'twin-2'].map(name => [name, 'Running', 'instant', linked['hostid']]),
    )
    const others = await Promise.all((['linked', 'full'] as const).map(clonetype => clone({ clonetype })))
    made.push(...others.map(other => other['virtualmachine'] as Fields))
    const earlier = (await vcenter.calls())['InstantClone_Task'] ?? 0
    const asked = { virtualmachineid: id, clonetype: 'instant', name: 'late' }
    const late = noted(await server.client.call('cloneVirtualMachine', asked))
    await eventually('it is under way', async () => ((await vcenter.calls())['InstantClone_Task'] ?? 0) > earlier)
    await server.end('SIGKILL')
    server = await startServer(dataDir())
    await eventually('it runs', async () => (await machine(late['id']))['state'] === 'Running')
    made.push(late)
    assert.equal((await vcenter.calls())['InstantClone_Task'], earlier + 1)
    assert.equal((await there()).length, 1 + made.length)
    await assert.rejects(run('destroyVirtualMachine', { id, expunge: true }), /4 machines stand on the disks/)
    for (const each of made) await run('destroyVirtualMachine', { id: String(each['id']), expunge: true })
    assert.equal((await machine(id))['state'], 'Running')
  })

  test('has machines made of a VM snapshot on one seed, which a kill while it is made does not double, and which goes with the last', async () => {
    const seeds = async () => (await there()).filter(path => path.includes('/seed-'))
    const { vmsnapshot } = await run('createVMSnapshot', { virtualmachineid: String(linked['id']), name: 'lab' })
    const vmsnapshotid = String((vmsnapshot as Fields)['id'])
    const earlier = (await vcenter.calls())['CloneVM_Task'] ?? 0
    const { id: first, jobid } = noted(
      await server.client.call('deployVirtualMachine', { vmsnapshotid, name: 'first' }),
    )
    await eventually('the seed is being made', async () => ((await vcenter.calls())['CloneVM_Task'] ?? 0) > earlier)
    await server.end('SIGKILL')
    server = await startServer(dataDir())
    assert.equal((await ended(jobid))['jobstatus'], 1)
    const nth = await deployed({ vmsnapshotid, name: 'nth' })
    const made = [await machine(first), nth]
    assert.deepEqual(
      made.map(({ state, clonetype, chaindepth }) => [state, clonetype, chaindepth]),
      made.map(() => ['Running', 'linked', 2]),
    )
    const [seed] = await seeds()
    assert.equal((await seeds()).length, 1)
    const strangers = await ask('listUnmanagedInstances', 'unmanagedinstance', { clusterid: clusterId })
    assert.ok(!strangers.some(each => each['path'] === seed))
    await run('deleteVMSnapshot', { vmsnapshotid })
    assert.deepEqual(await seeds(), [seed])
    const tasks = await ask('listEvents', 'event', { type: 'VM.TASK', pagesize: 500, page: 1 })
    const told = (words: RegExp) => tasks.some(({ description }) => words.test(String(description)))
    assert.ok(told(/^CreateSnapshot_Task of virtual machine linked, task task-\d+: success$/))
    assert.ok(told(/^CloneVM_Task of virtual machine nth, task task-\d+: success$/))
    for (const { id } of made) await run('destroyVirtualMachine', { id: String(id), expunge: true })
    await eventually('the seed is gone', async () => (await seeds()).length === 0)
  })

  test('is killed away from: a clone that was under way is there once, when the next server has finished', async () => {
    const earlier = (await vcenter.calls())['CloneVM_Task'] ?? 0
    const [offering] = await ask('listServiceOfferings', 'serviceoffering', { name: 'Tiny Instance' })
    const given = { zoneid: await idOf('listZones', 'zone'), serviceofferingid: String(offering?.['id']) }
    const asked = { ...given, templateid: templateId, name: 'survivor' }
    const { id, jobid } = noted(await server.client.call('deployVirtualMachine', asked))
    await eventually('the clone is under way', async () => ((await vcenter.calls())['CloneVM_Task'] ?? 0) > earlier)
    await server.end('SIGKILL')
    server = await startServer(dataDir())
    assert.equal((await ended(jobid))['jobstatus'], 1)
    assert.equal((await machine(id))['state'], 'Running')
    assert.equal((await there()).length, 2)
    await run('destroyVirtualMachine', { id: String(id), expunge: true })
  })

  test('is let go of when nothing of ours is left, and its password was told to nobody', async () => {
    await assert.rejects(server.client.call('deleteCluster', { id: clusterId }), /still|in use/i)
    await run('destroyVirtualMachine', { id: String(linked['id']), expunge: true })
    await run('deleteTemplate', { id: templateId })
    assert.deepEqual(await there(), [])
    assert.deepEqual(await diagnose(dataDir()), [])
    await run('deleteCluster', { id: clusterId })
    assert.deepEqual(await ask('listHosts', 'host', { clusterid: clusterId }), [])
    await ask('listEvents', 'event', { pagesize: 500, page: 1 })
    await ask('listAsyncJobs', 'asyncjobs', { pagesize: 500, page: 1 })
    said.push(await readFile(`${dataDir()}.log`, 'utf8'))
    const open = [vcenter.password, JSON.stringify(vcenter.password).slice(1, -1), encodeURIComponent(vcenter.password)]
    for (const form of open) assert.ok(!said.some(text => text.includes(form)))
  })
})
