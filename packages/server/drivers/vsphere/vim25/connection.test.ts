import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../../../testing/eventually.ts'
import { type TestVcenter, aVcenter, noVcenter } from '../a-vcenter.ts'
import { Connection } from './connection.ts'
import { ServerSilent, isFault } from './faults.ts'
import { readObject, readObjects } from './properties.ts'
import type { Ref } from './schema.ts'
import { OutcomeUnknown, Tasks } from './tasks.ts'
import { Transport } from './transport.ts'
import { type Updates, Watch } from './watch.ts'

describe('a session with a vCenter', { skip: noVcenter() }, () => {
  let vcenter: TestVcenter
  let connection: Connection
  let tasks: Tasks

  before(async () => {
    vcenter = await aVcenter('-plain', '-machines', '3')
    connection = await Connection.open(vcenter)
    tasks = new Tasks(connection)
  })
  after(async () => {
    await tasks.close()
    await connection.close()
    await vcenter.stop()
  })

  test('speaks the highest version that both know', () => {
    assert.equal(connection.version, '8.0.3.0')
    assert.equal(connection.content.about.apiType, 'VirtualCenter')
  })

  test('properties are read, typed, and pages are followed', async () => {
    const machines = await machineRefs()
    assert.equal(machines.length, 3)
    const found = await readObjects(connection, 'VirtualMachine', machines, ['name', 'config.hardware.device'])
    for (const ref of machines) {
      const devices = found.get(ref)?.['config.hardware.device'] ?? []
      const disks = devices.filter(each => each.is === 'VirtualDisk')
      assert.equal(disks.length, 1)
      assert.ok(disks[0]!.capacityInKB > 0 && disks[0]!.backing?.is === 'VirtualDiskFlatVer2BackingInfo')
      assert.ok(devices.some(each => 'macAddress' in each && typeof each.macAddress === 'string'))
    }
  })

  test('an object that is not there is a fault, and left out among many', async () => {
    const gone = 'VirtualMachine:vm-0' as const
    await assert.rejects(readObject(connection, gone, ['name']), { type: 'ManagedObjectNotFound' })
    const [one] = await machineRefs()
    const found = await readObjects(connection, 'VirtualMachine', [one!], ['name'])
    assert.deepEqual([...found.keys()], [one])
  })

  test('elements go out in the order of the schema, whatever that of the keys', async () => {
    const [vm] = await machineRefs()
    const spec = {
      memoryMB: 96,
      numCPUs: 2,
      extraConfig: [{ value: 'r & <d>', key: 'guestinfo.x' }],
      annotation: 'ä “𝄞”\r\n',
    }
    await tasks.ended(await connection.call(vm!, 'ReconfigVM_Task', { spec }))
    const { config } = await readObject(connection, vm!, ['config'])
    assert.equal(config?.hardware.memoryMB, 96)
    assert.equal(config.annotation, spec.annotation)
    assert.equal(config.extraConfig?.find(({ key }) => key === 'guestinfo.x')?.value, 'r & <d>')
  })

  test('the test vCenter refuses what is out of order, as a real one does', async () => {
    const bad = '<CurrentTime xmlns="urn:vim25"><x/><_this type="ServiceInstance">ServiceInstance</_this></CurrentTime>'
    const answer = await sendRaw(vcenter, bad)
    assert.match(answer, /InvalidRequest/)
    assert.match(answer, /_this is missing/)
  })

  test('what the schema does not have is not sent', async () => {
    const [vm] = await machineRefs()
    const call = (parameters: object) => connection.call(vm!, 'CreateSnapshot_Task', parameters as never)
    const good = { name: 's', memory: false, quiesce: false }
    await assert.rejects(call({ ...good, colour: 'red' }), /has no colour/)
    await assert.rejects(call({ name: 's', memory: false }), /quiesce is missing/)
    await assert.rejects(call({ ...good, memory: 'no' }), /of the type boolean/)
    await assert.rejects(call({ ...good, name: 'bell \u0007' }), /XML has no way/)
    await assert.rejects(connection.call('x' as Ref, 'CurrentTime', {}), /is to be a reference/)
  })

  test('a task is followed to its end, and many at once', async () => {
    const machines = await machineRefs()
    for (const method of ['PowerOffVM_Task', 'PowerOnVM_Task'] as const) {
      const started = machines.map(async vm => tasks.ended(await connection.call(vm, method, {})))
      await Promise.all(started)
    }
    const { 'runtime.powerState': power } = await readObject(connection, machines[0]!, ['runtime.powerState'])
    assert.equal(power, 'poweredOn')
  })

  test('a task that fails tells its fault by type, with its fields', async () => {
    const [vm] = await machineRefs()
    const failed = tasks.ended(await connection.call(vm!, 'PowerOnVM_Task', {}))
    await assert.rejects(failed, error => {
      assert.ok(isFault(error, 'InvalidState'))
      assert.deepEqual([error.type, error.fault['existingState']], ['InvalidPowerState', 'poweredOn'])
      return true
    })
  })

  test('a task that the server does not know has an unknown end', async () => {
    await assert.rejects(tasks.ended('Task:task-0'), OutcomeUnknown)
  })

  test('a session that has ended is begun anew, and tasks that are waited for are not lost', async () => {
    const [vm] = await machineRefs()
    const first = connection.session
    await tasks.ended(await connection.call(vm!, 'PowerOffVM_Task', {}))
    await vcenter.endSessions()
    const calls = Array.from({ length: 8 }, () => connection.call(vm!, 'CreateSnapshot_Task', aSnapshot))
    for (const task of await Promise.all(calls))
      assert.match(String(await tasks.ended(task)), /^VirtualMachineSnapshot:/)
    assert.equal(connection.session, first + 1)
    await tasks.ended(await connection.call(vm!, 'PowerOnVM_Task', {}))
  })

  test('a read whose answer is lost is made again; anything else is not', async () => {
    const [vm] = await machineRefs()
    await vcenter.trouble({ method: 'RetrievePropertiesEx', act: 'cut-after' })
    assert.notEqual((await readObject(connection, vm!, ['name'])).name, undefined)
    const earlier = await vcenter.calls()
    await vcenter.trouble({ method: 'CreateSnapshot_Task', act: 'cut-after' })
    await assert.rejects(connection.call(vm!, 'CreateSnapshot_Task', aSnapshot), error => {
      assert.ok(error instanceof ServerSilent && error.sent)
      return true
    })
    const made = (await vcenter.calls())['CreateSnapshot_Task']! - earlier['CreateSnapshot_Task']!
    assert.equal(made, 1)
  })

  test('a quiet session is used now and then, and one that is closed is ended', async () => {
    const earlier = await vcenter.calls()
    const more = async (method: string) => ((await vcenter.calls())[method] ?? 0) - (earlier[method] ?? 0)
    const quiet = await Connection.open({ ...vcenter, keepAliveMs: 5 })
    await eventually('two signs of life', async () => (await more('CurrentTime')) > 1)
    await quiet.close()
    assert.equal(await more('Logout'), 1)
  })

  test('a fault that a call meets is told by type', async () => {
    const [vm] = await machineRefs()
    const fields = {
      Object: { Type: 'VirtualMachine', Value: 'vm-1' },
      PrivilegeId: 'VirtualMachine.State.CreateSnapshot',
    }
    await vcenter.trouble({ method: 'CreateSnapshot_Task', act: 'fault', fault: 'NoPermission', fields })
    await assert.rejects(connection.call(vm!, 'CreateSnapshot_Task', aSnapshot), error => {
      assert.ok(!isFault(error, 'NotAuthenticated') && isFault(error, 'SecurityError'))
      assert.equal(error.fault['privilegeId'], 'VirtualMachine.State.CreateSnapshot')
      return true
    })
  })

  test('a watch tells everything first, then what changes, and everything again in a new session', async t => {
    const view = connection.content.viewManager!
    const told: { updates: Updates; fresh: boolean }[] = []
    const watch = new Watch(connection, {
      prepare: async collector => {
        const parameters = { container: connection.content.rootFolder, type: ['VirtualMachine'], recursive: true }
        const obj = await connection.call(view, 'CreateContainerView', parameters)
        const traverse = { is: 'TraversalSpec', type: 'ContainerView', path: 'view' } as const
        const spec = {
          propSet: [{ type: 'VirtualMachine', pathSet: ['name', 'runtime.powerState'] }],
          objectSet: [{ obj, skip: true, selectSet: [traverse] }],
        }
        await connection.call(collector, 'CreateFilter', { spec, partialUpdates: false })
      },
      deliver: (updates, fresh) => void told.push({ updates, fresh }),
    })
    t.after(() => watch.stop())
    await watch.start()
    assert.deepEqual([told.length, told[0]?.fresh, told[0]?.updates.length], [1, true, 3])
    const [vm] = await machineRefs()
    const power = () =>
      told
        .flatMap(({ updates }) => updates)
        .filter(({ obj }) => obj === vm)
        .flatMap(({ changeSet = [] }) => changeSet)
        .findLast(({ name }) => name === 'runtime.powerState')?.val
    await tasks.ended(await connection.call(vm!, 'PowerOffVM_Task', {}))
    await eventually('the change', async () => power() === 'poweredOff')
    await vcenter.endSessions()
    await connection.call('ServiceInstance:ServiceInstance', 'CurrentTime', {})
    await tasks.ended(await connection.call(vm!, 'PowerOnVM_Task', {}))
    await eventually(
      'everything again',
      async () => told.some(({ fresh }, at) => at > 0 && fresh) && power() === 'poweredOn',
    )
  })

  const aSnapshot = { name: 's', memory: false, quiesce: false }

  async function machineRefs(): Promise<Ref<'VirtualMachine'>[]> {
    const { viewManager, rootFolder } = connection.content
    const parameters = { container: rootFolder, type: ['VirtualMachine'], recursive: true }
    const view = await connection.call(viewManager!, 'CreateContainerView', parameters)
    const { view: found } = await readObject(connection, view as Ref<'ContainerView'>, ['view'])
    await connection.call(view, 'DestroyView', {})
    return [...(found ?? [])] as Ref<'VirtualMachine'>[]
  }
})

async function sendRaw(vcenter: TestVcenter, call: string): Promise<string> {
  const transport = new Transport(new URL(vcenter.url), vcenter.trust)
  const signal = new AbortController().signal
  const body = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>${call}</e:Body></e:Envelope>`
  const answer = await transport.send({ path: '/sdk', headers: {}, body, limitMs: 5000, signal })
  transport.close()
  return Buffer.from(answer.body).toString()
}
