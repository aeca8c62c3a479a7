// Many clones of one cut: random numbers that no two share, before anybody spoke to them.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CloneLab, type Guest } from './a-clone-lab.ts'
import { tiny } from '../guest/a-tiny.ts'
import { refusal } from '../network/a-network.ts'

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
})
