// What doctor says of guest networks, as they are in the kernel, beside what the database knows.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type NetworkId, newId } from '@ramet/core/ids.ts'
import { aNetwork } from '../drivers/contract-networks.ts'
import { aFrameMachine } from '../drivers/qemu/network/a-machine.ts'
import { type SomeNetworks, aMember, refusal, someNetworks } from '../drivers/qemu/network/a-network.ts'
import { observeNetworks } from '../drivers/qemu/network/condition.ts'
import { serve, servingProcess } from '../drivers/qemu/network/dnsmasq.ts'
import { networkFolder } from '../drivers/qemu/network/folder.ts'
import { furnish, makeSegment, removeSegment } from '../drivers/qemu/network/segment.ts'
import { killAndWait } from '../drivers/qemu/process/process.ts'
import { stopTestDatabase } from '../testing/database.ts'
import { type Lab, simulatedLab } from '../testing/lab.ts'
import type { Host } from './examine.ts'
import { findInNetworks } from './networks.ts'

describe('doctor on guest networks', { skip: refusal ?? false }, () => {
  let lab: Lab
  let made: SomeNetworks
  let id: NetworkId
  let name: string
  before(async () => {
    ;[lab, made] = await Promise.all([simulatedLab(), someNetworks()])
    ;({ id, name } = await lab.app.db.selectFrom('network').select(['id', 'name']).executeTakeFirstOrThrow())
  })
  after(async () => {
    await made?.dispose()
    await lab?.close()
    await stopTestDatabase()
  })

  const findings = (busy: (id: string) => boolean = () => false) =>
    findInNetworks(lab.app.db, { networks: { list: () => observeNetworks(made.directory, true) } } as Host, busy)
  const folder = () => networkFolder(made.directory, id)
  async function endServing(): Promise<void> {
    const serving = await servingProcess(folder())
    assert.ok(serving && (await killAndWait(serving, 5000)))
  }

  test('a sound network is not spoken of', async () => {
    await made.networks.calls.ensure({ ...aNetwork(), id })
    assert.deepEqual(await findings(), [])
  })

  test('a network that lost its dnsmasq, or its namespace, is named until the server has mended it', async () => {
    for (const [lose, what] of [
      [endServing, /has no dnsmasq/],
      [() => removeSegment(folder()), /has lost its namespace/],
    ] as const) {
      await lose()
      const [finding, ...others] = await findings()
      assert.deepEqual([finding?.subject, others], [`network ${name} (${id})`, []])
      assert.match(finding?.what ?? '', what)
      assert.match(finding?.remedy ?? '', /start the server/)
      assert.deepEqual(await findings(busy => busy === id), [])
      await made.networks.keep()
      assert.deepEqual(await findings(), [])
    }
  })

  test('a network whose machines are in another namespace is named, and the next server takes it to them', async () => {
    const machine = await aFrameMachine(made, aMember({ ...aNetwork(), id }, '10.1.1.5'))
    await removeSegment(folder())
    await endServing()
    await makeSegment(folder())
    await serveThere()
    assert.match((await findings())[0]?.what ?? '', /in a namespace that has no name/)
    await made.again().keep()
    assert.deepEqual(await findings(), [])
    await machine.end()
  })

  test('a network that nobody knows is named', async () => {
    const stranger = aNetwork({ id: newId<'network'>() })
    await made.networks.calls.ensure(stranger)
    const [finding] = await findings()
    assert.equal(finding?.subject, `network ${stranger.id}`)
    assert.match(finding?.what ?? '', /database does not know it/)
    await made.networks.calls.remove(stranger.id)
  })

  /** As somebody would who did not look for machines. */
  async function serveThere(): Promise<void> {
    const spec = { ...aNetwork(), id }
    await furnish(folder(), spec, [])
    await serve(folder(), spec, [])
  }
})
