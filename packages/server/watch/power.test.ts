// What happens to a machine by itself is seen and told, and jobs at work are left alone.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { switchPower } from '../drivers/simulated/world.ts'
import { deployVm } from '../jobs/deploy-vm.ts'
import { stopVm } from '../jobs/stop-vm.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { eventually } from '../testing/eventually.ts'
import { aDeployment, aTemplate, type Lab, run, simulatedLab, stateOf } from '../testing/lab.ts'

describe('the power watch', () => {
  let lab: Lab
  before(async () => {
    lab = await simulatedLab()
  })
  after(async () => {
    await lab.close()
    await stopTestDatabase()
  })

  async function aRunningVm() {
    const input = await aDeployment(lab, await aTemplate(lab))
    assert.equal((await run(lab, deployVm, input)).state, 'done')
    return input.vm
  }

  test('a guest that shuts itself down becomes Stopped, gives its room back, and an event tells why', async () => {
    const vm = await aRunningVm()
    switchPower(lab.world, vm, 'off', 'the guest shut down')
    await eventually('it is Stopped', async () => (await stateOf(lab, vm)) === 'Stopped')
    const { host_id } = await lab.app.db
      .selectFrom('vm')
      .select('host_id')
      .where('id', '=', vm)
      .executeTakeFirstOrThrow()
    assert.equal(host_id, null)
    const event = await lab.app.db
      .selectFrom('event')
      .selectAll()
      .where('resource_id', '=', vm)
      .orderBy('sequence', 'desc')
      .executeTakeFirstOrThrow()
    assert.match(event.description, /is Stopped: the guest shut down/)
    assert.equal(event.type, 'VM.STOP')
  })

  test('a machine that went off while no server looked is Stopped after the next start, one that runs stays Running', async () => {
    const [gone, alive] = [await aRunningVm(), await aRunningVm()]
    lab.world.listeners.clear()
    switchPower(lab.world, gone, 'off', 'nobody saw it')
    await lab.restart()
    assert.equal(await stateOf(lab, gone), 'Stopped')
    assert.equal(await stateOf(lab, alive), 'Running')
  })

  test('a machine that was found running although it is recorded as Stopped is Running', async () => {
    const vm = await aRunningVm()
    await run(lab, stopVm, { vm, forced: true })
    switchPower(lab.world, vm, 'on', 'somebody else started it')
    await eventually('it is Running', async () => (await stateOf(lab, vm)) === 'Running')
  })

  test('a transient state that no job works on is settled by what the machine does', async () => {
    const vm = await aRunningVm()
    await lab.app.db.updateTable('vm').set({ state: 'Stopping' }).where('id', '=', vm).execute()
    await lab.restart()
    assert.equal(await stateOf(lab, vm), 'Running')
  })
})
