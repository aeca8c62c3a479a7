// Tasks that take long, on a vCenter that ends before they do.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../../../testing/eventually.ts'
import { type TestVcenter, aVcenter, noVcenter } from '../a-vcenter.ts'
import { Connection } from './connection.ts'
import { readObject } from './properties.ts'
import type { Ref } from './schema.ts'
import { OutcomeUnknown, Tasks } from './tasks.ts'

describe('tasks that take long', { skip: noVcenter() }, () => {
  let vcenter: TestVcenter
  let connection: Connection
  let tasks: Tasks
  let machines: readonly Ref[]

  before(async () => {
    vcenter = await aVcenter('-plain', '-machines', '3', '-task-delay', '600000')
    connection = await Connection.open(vcenter)
    tasks = new Tasks(connection, 0)
    const { viewManager, rootFolder } = connection.content
    const parameters = { container: rootFolder, type: ['VirtualMachine'], recursive: true }
    const view = await connection.call(viewManager!, 'CreateContainerView', parameters)
    machines = (await readObject(connection, view as Ref<'ContainerView'>, ['view'])).view ?? []
  })
  after(async () => {
    await tasks.close()
    await connection.close()
    await vcenter.stop()
  })

  test('a task that is given up is cancelled, and fails', async () => {
    const abort = new AbortController()
    const ended = tasks.ended(await connection.call(machines[0]!, 'PowerOffVM_Task', {}), { signal: abort.signal })
    abort.abort()
    await assert.rejects(ended, { type: 'RequestCanceled' })
    const late = tasks.ended(await connection.call(machines[0]!, 'ResetVM_Task', {}), { signal: abort.signal })
    await assert.rejects(late, { type: 'RequestCanceled' })
  })

  test('progress is told', async () => {
    const seen: number[] = []
    const abort = new AbortController()
    const task = await connection.call(machines[1]!, 'PowerOffVM_Task', {})
    const ended = tasks.ended(task, { signal: abort.signal, progress: percent => seen.push(percent) })
    for (const percentDone of [10, 70]) await connection.call(task, 'UpdateProgress', { percentDone })
    await eventually('70 percent', async () => seen.at(-1) === 70)
    abort.abort()
    await assert.rejects(ended)
  })

  test('when the server is gone, nobody knows how its tasks ended', async () => {
    const ended = tasks.ended(await connection.call(machines[2]!, 'PowerOffVM_Task', {}))
    ended.catch(() => {})
    await vcenter.stop()
    await assert.rejects(ended, OutcomeUnknown)
  })
})
