// A simulated cloud as somebody uses it: from the command line, with many hosts, killed at work and started again.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { diagnose } from '@ramet/server/doctor/main.ts'
import { eventually } from '@ramet/server/testing/eventually.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { type Fields, list } from './world.ts'

const hosts = 20
const machines = 50

describe(`a simulated cloud of ${hosts} hosts`, () => {
  let folder: string
  let server: ServerProcess
  const dataDir = () => join(folder, 'data')
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ramet-sim-'))
    await chmod(folder, 0o711) // the database has an account of its own, and passes through
    server = await startServer(dataDir(), {}, ['--simulate', String(hosts)])
  })
  after(async () => {
    await server.end('SIGTERM')
    await rm(folder, { recursive: true, force: true })
  })

  const ask = (command: string, object: string, parameters = {}) =>
    list(server.client, command, object, { listall: true, ...parameters })
  const shown = async () =>
    (await ask('listVirtualMachines', 'virtualmachine'))
      .map(vm => `${String(vm['id'])} ${String(vm['state'])} ${String(vm['hostname'])}`)
      .toSorted()
  const quiet = () =>
    eventually('all jobs end', async () =>
      (await ask('listAsyncJobs', 'asyncjobs')).every(job => job['jobstatus'] !== 0),
    )

  function cli(...words: string[]): Promise<string> {
    const main = join(import.meta.dirname, '../packages/cli/main.ts')
    return new Promise((resolve, reject) => {
      execFile(process.execPath, [main, ...words, '--data-dir', dataDir()], (error, stdout, stderr) =>
        error ? reject(new Error(`${stdout}${stderr}`)) : resolve(stdout),
      )
    })
  }

  test('begins with its hosts in clusters of up to sixteen, each with its storage, and a template', async () => {
    assert.equal((await ask('listHosts', 'host')).length, hosts)
    assert.equal((await ask('listClusters', 'cluster')).length, 2)
    assert.equal((await ask('listStoragePools', 'storagepool')).length, 2)
    assert.match(await cli('listTemplates', 'templatefilter=all'), /simulated/)
    assert.deepEqual(
      (await ask('listHypervisors', 'hypervisor')).map(each => each['name']),
      ['Simulator'],
    )
  })

  test(`${machines} machines are deployed, and one migrates`, async () => {
    const [zone] = await ask('listZones', 'zone')
    const [offering] = await ask('listServiceOfferings', 'serviceoffering')
    const [template] = await ask('listTemplates', 'template', { templatefilter: 'all' })
    const parameters = {
      zoneid: String(zone?.['id']),
      serviceofferingid: String(offering?.['id']),
      templateid: String(template?.['id']),
    }
    await Promise.all(Array.from({ length: machines }, () => server.client.run('deployVirtualMachine', parameters)))
    const vms = await ask('listVirtualMachines', 'virtualmachine', { state: 'Running' })
    assert.equal(vms.length, machines)
    assert.equal(new Set(vms.map(vm => vm['hostid'])).size, hosts)
    const answer = await cli(
      'migrateVirtualMachine',
      `virtualmachineid=${String(vms[0]?.['id'])}`,
      'autoselect=true',
      '--json',
    )
    const { virtualmachine } = JSON.parse(answer) as { virtualmachine: Fields }
    assert.equal(virtualmachine['state'], 'Running')
    assert.notEqual(virtualmachine['hostid'], vms[0]?.['hostid'])
  })

  test('a server that is killed finds every machine where it was, and goes on with what it had begun', async () => {
    await quiet()
    const earlier = await shown()
    await server.end('SIGKILL')
    server = await startServer(dataDir(), {}, ['--simulate', '3']) // the number counts at the first start only
    assert.equal((await ask('listHosts', 'host')).length, hosts)
    assert.deepEqual(await shown(), earlier)

    const [host] = await ask('listHosts', 'host', { name: 'sim-1' })
    await server.client.call('updateConfiguration', { name: 'simulated.migrate.ms', value: 100 })
    const { jobid } = await server.client.call('prepareHostForMaintenance', { id: String(host?.['id']) })
    await server.end('SIGKILL')
    server = await startServer(dataDir(), {}, ['--simulate', String(hosts)])
    await quiet()
    assert.equal((await server.client.call('queryAsyncJobResult', { jobid: String(jobid) }))['jobstatus'], 1)
    const [emptied] = await ask('listHosts', 'host', { name: 'sim-1' })
    assert.equal(emptied?.['resourcestate'], 'Maintenance')
    const vms = await ask('listVirtualMachines', 'virtualmachine', { state: 'Running' })
    assert.equal(vms.length, machines)
    assert.ok(vms.every(vm => vm['hostid'] !== emptied?.['id']))
    assert.deepEqual(await diagnose(dataDir()), [])
    assert.match(await cli('doctor'), /agree/)
  })

  test('a server with real machines does not take it for its own', async () => {
    await server.end('SIGTERM')
    await assert.rejects(startServer(dataDir(), { RAMET_ACCEL: 'tcg' }), /serve it with --simulate/)
    server = await startServer(dataDir(), {}, ['--simulate', '1'])
  })
})
