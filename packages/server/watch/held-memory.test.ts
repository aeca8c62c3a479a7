// What instant clones count on their host, as they come to hold more of it.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { VmId } from '@ramet/core/ids.ts'
import { Drivers } from '../drivers/drivers.ts'
import { simulatedDriver } from '../drivers/simulated/driver.ts'
import { vmById } from '../store/vms.ts'
import { aClone, expunge } from '../testing/clones.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { type Lab, simulatedLab } from '../testing/lab.ts'
import { stop } from '../testing/vm-snapshots.ts'
import { aMachine } from '../testing/volumes.ts'
import { type HeldMemoryWatch, watchHeldMemory } from './held-memory.ts'

describe('the watch over the memory of clones', () => {
  let lab: Lab
  let watch: HeldMemoryWatch
  before(async () => {
    lab = await simulatedLab()
    watch = watchHeldMemory(lab.app, new Drivers(simulatedDriver(lab.world), []))
  })
  after(async () => {
    watch.close()
    await lab.close()
    await stopTestDatabase()
  })

  async function counted(vm: VmId): Promise<{ own: number | null | undefined; onHost: number }> {
    const loads = await lab.app.db.selectFrom('host_load').select('memory_mib').execute()
    const own = (await vmById(lab.app.db, vm))?.memory_counted_mib
    return { own, onHost: loads.reduce((sum, { memory_mib }) => sum + memory_mib, 0) }
  }

  test('a clone counts its share, what it holds beyond that, and never more than it has', async () => {
    const { vm: source } = await aMachine(lab, 'Running')
    const clone = await aClone(lab, source, 'instant')
    const { memory_mib: whole = 0 } = (await vmById(lab.app.db, clone)) ?? {}
    const first = await counted(clone)
    assert.ok(first.own !== null && first.own !== undefined && first.own > 0 && first.own < whole)
    for (const [held, expected] of [
      [first.own - 1, first.own],
      [first.own + 7, first.own + 7],
      [whole + 50, whole],
      [1, first.own],
    ] as const) {
      lab.world.heldMib.set(clone, held)
      await watch.look()
      const now = await counted(clone)
      assert.deepEqual(now, { own: expected, onHost: first.onHost - first.own + expected })
    }
    lab.world.heldMib.set(clone, whole)
    lab.world.faults.set('machines.heldMemory', 1)
    await watch.look() // nobody knows: it counts what it counted
    assert.equal((await counted(clone)).own, first.own)
    await stop(lab, clone)
    await watch.look()
    assert.equal((await counted(clone)).own, null)
    assert.equal((await vmById(lab.app.db, source))?.memory_counted_mib, null)
    for (const vm of [clone, source]) await expunge(lab, vm)
  })
})
