// Many clones of one cut: random numbers that no two share, before anybody spoke to them; and a guest that keeps a card for long.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eventually } from '../../../testing/eventually.ts'
import { CloneLab, type Guest } from './a-clone-lab.ts'
import { machineFolder } from './machine-folder.ts'
import { tiny, untilAnswers } from '../guest/a-tiny.ts'
import { refusal } from '../network/a-network.ts'
import { Qmp } from '../process/qmp.ts'

const never = new AbortController().signal
const skip = tiny ? (refusal ?? false) : 'tiny cannot be built here'

describe('many instant clones', { skip }, () => {
  let lab: CloneLab
  let source: Guest

  before(async () => {
    ;({ lab, source } = await CloneLab.open())
  })
  after(() => lab.made.dispose())

  test('twenty clones draw twenty random numbers before anybody spoke to them', async () => {
    const [old, { image }] = [source.spec.disks, await lab.cut(source)]
    const clones: Guest[] = []
    for (let round = 0; round < 5; round += 1)
      clones.push(...(await Promise.all([1, 2, 3, 4].map(() => lab.clone(source, old, image)))))
    const drawn = await Promise.all(clones.map(each => lab.randomOf(each)))
    assert.equal(new Set(drawn).size, 20, drawn.join())
    for (const each of clones) await lab.removed(each)
  })

  test('one whose guest keeps the card of its source gets its own beside it, and the other goes when the guest lets go', async () => {
    const [old, { image }] = [source.spec.disks, await lab.cut(source)]
    const clone = await lab.clone(source, old, image)
    const { vm, nics } = clone.spec
    // A guest that stands still answers nobody.
    const tell = async (what: 'stop' | 'cont') => {
      const monitor = await Qmp.connect(machineFolder(lab.made.runDirectory, vm).taps, () => {}, 10_000)
      await monitor.execute(what)
      monitor.close()
    }
    await tell('stop')
    assert.deepEqual(await lab.driver.machines.pullInheritedNics(vm, never), [0])
    const [card] = nics
    await assert.rejects(lab.driver.machines.attachNic(vm, card!, 'a-clone'), { code: 'device-in-use' })
    const { sshPorts } = await lab.driver.machines.attachNic(vm, { ...card!, deviceId: 1 }, 'a-clone')
    await tell('cont')
    clone.port = sshPorts[card!.id]!
    await untilAnswers(clone.port)
    const macs = () => clone.said('cat /sys/class/net/*/address')
    await eventually('the guest has let go of the other', async () => {
      const found = await macs()
      return found.includes(card!.mac) && !found.includes(source.spec.nics[0]!.mac) ? true : null
    })
    assert.deepEqual(await lab.driver.machines.pullInheritedNics(vm, never), [])
    await lab.removed(clone)
  })
})
