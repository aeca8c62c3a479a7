import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chainRefusal, type Link, planConsolidation, planIndependence } from './chain.ts'
import { isDueBetween, scheduleRefusal } from './cron.ts'
import type { LayerId } from './ids.ts'

/** `T`: a template's copy. Capitals are named, small letters are not; `!` marks what carries others too. What follows `|` is the machine's own. */
function chain(text: string): Link[] {
  const own = text.indexOf('|')
  return [...text.matchAll(/([A-Za-z])(!?)/g)].map(({ 0: word, 1: name = '', index }) => ({
    id: name as LayerId,
    named: /[A-Z]/.test(name),
    owned: name !== 'T',
    bytes: 10,
    exclusive: own !== -1 && index > own,
    children: word.endsWith('!') ? 2 : 1,
  }))
}

const merges = (plan: readonly { into: LayerId; onto: LayerId | null; between: readonly LayerId[] }[]) =>
  plan.map(({ into, onto, between }) => `${onto ?? ''}<-(${between.join('')})${into}`)

describe('a machine is made independent', () => {
  for (const [text, plan] of [
    ['T|D', '<-(T)D'],
    ['T|SD', '<-(T)S'],
    ['TA!b|SD', '<-(TAb)S'],
    ['|D', null],
    ['|SD', null],
  ] as const)
    test(`${text}: ${plan ?? 'it is so'}`, () => {
      const found = planIndependence(chain(text))
      assert.deepEqual(found && merges([found])[0], plan)
      if (found) assert.equal(found.bytes, 10 * found.between.length)
    })
})

describe('a chain is consolidated', () => {
  for (const [text, own, all] of [
    ['T|D', [], []],
    ['T|aD', ['T<-(a)D'], ['T<-(a)D']],
    ['T|abScD', ['T<-(ab)S', 'S<-(c)D'], ['T<-(ab)S', 'S<-(c)D']],
    ['Ta!b!|D', [], ['T<-(ab)D']],
    ['Ta!b|D', ['a<-(b)D'], ['T<-(ab)D']],
    ['TA!b!|D', [], ['A<-(b)D']],
    ['Ta!B|D', [], []], // B is read by others, and cannot be written
    ['t|D', ['<-(t)D'], ['<-(t)D']],
  ] as const)
    test(text, () => {
      assert.deepEqual(merges(planConsolidation(chain(text), false)), own)
      assert.deepEqual(merges(planConsolidation(chain(text), true)), all)
    })
})

test('a chain that is too long tells what to do', () => {
  assert.equal(chainRefusal({ depth: 63, kept: 3, unnamed: 1 }, 'KVM', 64), null)
  const text = chainRefusal({ depth: 64, kept: 62, unnamed: 1 }, 'KVM', 64) ?? ''
  assert.match(text, /64 layers already.*62 of them are named by VM snapshots and cannot be consolidated/)
  assert.match(text, /1 of them have no name/)
  assert.doesNotMatch(chainRefusal({ depth: 64, kept: 0, unnamed: 0 }, 'KVM', 64) ?? '', /VM snapshots/)
})

describe('a schedule', () => {
  const at = (text: string) => new Date(`2026-03-${text}:30Z`)
  for (const [schedule, from, to, isDue] of [
    ['0 3 * * *', '01T02:59', '01T03:00', true],
    ['0 3 * * *', '01T03:00', '01T03:01', false],
    ['0 3 * * *', '01T02:00', '01T09:00', true],
    ['*/15 * * * *', '01T02:31', '01T02:44', false],
    ['*/15 * * * *', '01T02:31', '01T02:45', true],
    ['10-20/5,50 4 * * *', '01T04:10', '01T04:14', false],
    ['10-20/5,50 4 * * *', '01T04:49', '01T04:50', true],
    ['0 0 * * 7', '01T00:00', '01T00:30', false], // the first of March 2026 is a Sunday
    ['30 12 * * 7', '01T12:00', '01T13:00', true],
    ['30 12 * * 1', '01T12:00', '01T13:00', false],
    ['30 12 15 * 1', '02T12:00', '02T13:00', true],
    ['30 12 15 * 1', '15T12:00', '15T13:00', true],
    ['30 12 15 4 *', '15T12:00', '15T13:00', false],
  ] as const)
    test(`${schedule} between ${from} and ${to}`, () => assert.equal(isDueBetween(schedule, at(from), at(to)), isDue))

  for (const text of [
    '',
    '0 3 * *',
    '60 3 * * *',
    '0 3 0 * *',
    '5-1 * * * *',
    '*/0 * * * *',
    'x 3 * * *',
    '0 3 * * 8',
    '1, * * * *',
  ])
    test(`"${text}" is none`, () => assert.match(scheduleRefusal(text) ?? '', /field|takes numbers/))
  test('"0 3 * * 1-5" is one', () => assert.equal(scheduleRefusal('0 3 * * 1-5'), null))
})
