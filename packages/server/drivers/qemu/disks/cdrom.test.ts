// The CD-ROM drive of machines on QEMU: what boots from it, what it takes to change the medium, and whose user reads it.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import { bootableCd } from '../../../testing/boot-cd.ts'
import { eventually } from '../../../testing/eventually.ts'
import { aMachine, anOwner } from '../../contract.ts'
import type { IsoRef, LayerRef, MachineSpec } from '../../driver.ts'
import { aQemuDriver, processOf } from '../a-driver.ts'
import type { QemuUnderTest } from '../a-driver.ts'

const never = new AbortController().signal

describe('the CD-ROM drive', () => {
  let made: QemuUnderTest
  before(async () => {
    made = await aQemuDriver()
    await made.driver.pools.prepare(made.pool)
  })
  after(() => made.dispose())

  async function aCd(line: string): Promise<IsoRef> {
    const file = join(made.folder, `${newId()}.iso`)
    await writeFile(file, bootableCd(line), { mode: 0o644 })
    return { id: newId<'template'>(), file }
  }

  async function aRunning(about: Partial<MachineSpec>): Promise<MachineSpec> {
    const layer: LayerRef = { pool: made.pool, id: newId<'layer'>() }
    await made.driver.layers.blank(layer, 2 ** 30, anOwner)
    const spec = aMachine(layer, about)
    await made.driver.machines.start(spec)
    return spec
  }

  async function removed({ vm }: MachineSpec): Promise<void> {
    await made.driver.machines.stop(vm, 0, never)
    await made.driver.machines.discard(vm)
  }

  test('a machine with an empty disk boots from it', async () => {
    const spec = await aRunning({ cdrom: await aCd('the CD has booted') })
    await eventually('the loader writes to the console', async () => {
      const log = Buffer.from(await made.driver.machines.consoleLog(spec.vm, 4096)).toString()
      return log.includes('the CD has booted') || null
    })
    await removed(spec)
  })

  test('takes a CD, another, and none while the machine runs, also under the next server', async () => {
    const [one, other] = [await aCd('one'), await aCd('other')]
    const spec = await aRunning({})
    const { machines } = made.driver
    for (const cd of [one, one, other, null, null, one]) await machines.changeMedium(spec.vm, cd, false, never)
    await made.driver.close()
    const driver = await made.again()
    made = { ...made, driver }
    await driver.machines.adopt()
    await driver.machines.changeMedium(spec.vm, other, false, never)
    await driver.machines.changeMedium(spec.vm, null, true, never)
    await removed(spec)
  })

  test('a CD that is gone is told as such, and the machine runs on with what it has', async () => {
    const [there, gone] = [await aCd('there'), { id: newId<'template'>(), file: join(made.folder, 'gone.iso') }]
    await assert.rejects(aRunning({ cdrom: gone }), { kind: 'unavailable', code: 'iso-missing' })
    const spec = await aRunning({ cdrom: there })
    await assert.rejects(made.driver.machines.changeMedium(spec.vm, gone, true, never), { code: 'iso-missing' })
    await made.driver.machines.changeMedium(spec.vm, there, false, never)
    assert.ok(await processOf(made.runDirectory, spec.vm))
    await removed(spec)
  })

  test('of a machine that is off, nothing is changed', async () => {
    await made.driver.machines.changeMedium(newId<'vm'>(), await aCd('x'), false, never)
  })
})
