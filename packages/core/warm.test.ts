import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MemoryImageId, newId, type VmId } from './ids.ts'
import { askedAtOnce, forgottenAfterMs, type HotImage, planWarm, reserveMib, warmMib } from './warm.ts'

const now = 10_000_000
const room = { now, budgetMib: 10 * warmMib, availableMib: reserveMib + 100 * warmMib, most: 8 }
const [a, b] = ['a' as MemoryImageId, 'b' as MemoryImageId]
const vms = (count: number): VmId[] => Array.from({ length: count }, () => newId<'vm'>())

function hot(id: MemoryImageId, count: number, more: Partial<HotImage> & { ago?: number } = {}): HotImage {
  const { ago = 0, ...rest } = more
  return { id, asks: [{ at: now - ago, count }], waiting: [], isUsable: true, ...rest }
}

test('calls close together count as one, and what is long ago not at all', () => {
  const ask = (ago: number, count: number) => ({ at: now - ago, count })
  assert.equal(askedAtOnce([], now), 0)
  assert.equal(askedAtOnce([ask(0, 1)], now), 1)
  assert.equal(askedAtOnce([ask(1500, 2), ask(900, 3), ask(0, 1)], now), 6)
  assert.equal(askedAtOnce([ask(60_000, 5), ask(0, 1)], now), 5)
  assert.equal(askedAtOnce([ask(forgottenAfterMs, 50), ask(0, 1)], now), 1)
})

const cases: readonly (readonly [string, HotImage[], Partial<typeof room>, MemoryImageId[], number])[] = [
  ['as many as were asked for at once', [hot(a, 3)], {}, [a, a, a], 0],
  ['only those that are missing', [hot(a, 3, { waiting: vms(2) })], {}, [a], 0],
  ['not more than may wait for one image', [hot(a, 100)], { most: 2 }, [a, a], 0],
  ['as many as the budget holds', [hot(a, 8)], { budgetMib: 2 * warmMib + 1 }, [a, a], 0],
  ['none without a budget, and those that wait end', [hot(a, 8, { waiting: vms(2) })], { budgetMib: 0 }, [], 2],
  ['none where the host has little left', [hot(a, 8)], { availableMib: reserveMib }, [], 0],
  [
    'fewer where the host has less left',
    [hot(a, 3, { waiting: vms(3) })],
    { availableMib: reserveMib - warmMib },
    [],
    1,
  ],
  [
    'those that wait do not count against themselves',
    [hot(a, 2, { waiting: vms(2) })],
    { availableMib: reserveMib },
    [],
    0,
  ],
  ['none of an image that nobody asked for lately', [hot(a, 2, { ago: forgottenAfterMs, waiting: vms(1) })], {}, [], 1],
  ['none of an image that cannot be used', [hot(a, 2, { isUsable: false, waiting: vms(2) })], {}, [], 2],
  [
    'one for each image first, the latest before',
    [hot(a, 4, { ago: 5000 }), hot(b, 4)],
    { budgetMib: 3 * warmMib },
    [b, b, a],
    0,
  ],
]

for (const [what, images, differs, begin, ended] of cases)
  test(`processes wait: ${what}`, () => {
    const plan = planWarm(images, { ...room, ...differs })
    assert.deepEqual(plan.begin, begin)
    assert.equal(plan.end.length, ended)
  })
