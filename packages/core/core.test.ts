import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cloneTypes, decideCloneType } from './clone-type.ts'
import { type LayerId, newId, parseId } from './ids.ts'
import { isFinished, jobStatusNumber, mayMove, statesBefore } from './job-state.ts'
import {
  afterRemoval,
  childrenOf,
  costOf,
  type Forest,
  forestOf,
  type Layer,
  planRemoval,
  type RemovalStep,
  unnamed,
} from './layer.ts'
import { hostNameRefusal, labelRefusal } from './names.ts'
import { type HostRoom, place, type PoolRoom } from './placement.ts'
import { settingNamed, settingRefusal, settings } from './settings.ts'
import { allowedFrom, refusal, vmAfter } from './vm.ts'
import { internalName, refusal as snapshotRefusal, vmSnapshotAfter, warning, withoutNode } from './vm-snapshot.ts'

describe('ids', () => {
  test('text becomes an id only when it is a UUID, in any case of letters', () => {
    assert.equal(parseId('0E984725-C51C-4BF4-9960-E1C80E27ABA0'), '0e984725-c51c-4bf4-9960-e1c80e27aba0')
    for (const text of [
      '',
      '1',
      'null',
      '0e984725-c51c-4bf4-9960-e1c80e27aba',
      '0e984725-c51c-4bf4-9960-e1c80e27aba0\n',
    ])
      assert.equal(parseId(text), null, JSON.stringify(text))
  })
})

describe('clone type', () => {
  test('the nearest voice wins: call, offering, then pool or global setting', () => {
    assert.equal(decideCloneType({ call: 'full', offering: 'linked', createFullClone: false }), 'full')
    assert.equal(decideCloneType({ call: 'linked', offering: 'full', createFullClone: true }), 'linked')
    assert.equal(decideCloneType({ offering: 'full', createFullClone: false }), 'full')
    assert.equal(decideCloneType({ offering: null, createFullClone: true }), 'full')
    assert.equal(decideCloneType({ createFullClone: false }), 'linked')
    assert.deepEqual(cloneTypes, ['full', 'linked'])
  })
})

describe('virtual machine', () => {
  test('a refusal says what the machine is and when the action is possible', () => {
    assert.equal(refusal({ name: 'web', state: 'Stopped' }, 'start'), null)
    assert.equal(
      refusal({ name: 'web', state: 'Running' }, 'start'),
      'Virtual machine web is Running; start is possible only when it is Stopped',
    )
    assert.ok(allowedFrom.expunge.includes('Error'))
  })

  test('an event without a move for the state leads nowhere', () => {
    assert.equal(vmAfter('Stopped', 'StartRequested'), 'Starting')
    assert.equal(vmAfter('Running', 'StartRequested'), null)
    assert.equal(vmAfter('Error', 'DestroyRequested'), 'Expunging')
  })
})

describe('job state', () => {
  test('an ended job moves nowhere, and a stuck one is pending to CloudStack clients', () => {
    assert.deepEqual(statesBefore('failed'), ['undoing'])
    for (const state of ['done', 'failed', 'cancelled'] as const) {
      assert.ok(isFinished(state))
      assert.ok(!mayMove(state, 'running'))
    }
    assert.deepEqual(
      (['queued', 'stuck', 'done', 'failed', 'cancelled'] as const).map(jobStatusNumber),
      [0, 0, 1, 2, 3],
    )
  })
})

describe('layers', () => {
  const a = (set: Partial<Layer> = {}): Layer => ({
    id: newId<'layer'>(),
    parent: null,
    named: false,
    owned: true,
    bytes: 1,
    ...set,
  })
  const steps = (plan: readonly RemovalStep[]) => plan.map(({ op, layer }) => `${op} ${layer}`)

  /** A random forest: each layer stands on an earlier one or on nothing. A layer without child has a name. */
  const forests = fc
    .array(
      fc.record({
        parent: fc.nat(),
        isRoot: fc.boolean(),
        named: fc.boolean(),
        owned: fc.boolean(),
        blocks: fc.nat(255),
      }),
      { minLength: 1, maxLength: 30 },
    )
    .map(shapes => {
      const layers: Layer[] = []
      const blocks = new Map<LayerId, number>()
      for (const { parent, isRoot, named, owned, blocks: written } of shapes) {
        const layer = a({ parent: isRoot ? null : (layers[parent % (layers.length || 1)]?.id ?? null), named, owned })
        layers.push(layer)
        blocks.set(layer.id, written)
      }
      return { forest: forestOf(layers), blocks }
    })

  /** Who wrote each of eight blocks last, as a machine on this layer sees it; a bit of `blocks` is a block that a layer holds. */
  function shown(forest: Forest, holds: ReadonlyMap<LayerId, ReadonlyMap<number, LayerId>>, id: LayerId): unknown[] {
    return [0, 1, 2, 3, 4, 5, 6, 7].map(block => {
      for (let at: LayerId | null = id; at; at = forest.get(at)?.parent ?? null) {
        const writer = holds.get(at)?.get(block)
        if (writer) return writer
      }
      return null
    })
  }

  test('no layer that a person knows shows anything else when another has lost its name', () => {
    fc.assert(
      fc.property(forests, fc.nat(), ({ forest, blocks }, pick) => {
        const ids = [...forest.keys()]
        const chosen = ids[pick % ids.length] as LayerId
        const before = unnamed(forest, [chosen])
        const holds = new Map(
          ids.map(id => [
            id,
            new Map([0, 1, 2, 3, 4, 5, 6, 7].filter(bit => ((blocks.get(id) ?? 0) >> bit) & 1).map(bit => [bit, id])),
          ]),
        )
        const known = ids.filter(id => before.get(id)?.named)
        const then = known.map(id => shown(before, holds, id))
        let now: Forest = before
        for (const step of planRemoval(before, chosen)) {
          if (step.op === 'discard') {
            assert.deepEqual(childrenOf(now, step.layer), [], 'something stands on it')
            assert.ok(!now.get(step.layer)?.named, 'a person knows it')
          }
          if (step.op === 'merge') {
            assert.ok(now.get(step.layer)?.owned, "it is nobody's")
            assert.equal(childrenOf(now, step.layer).length, 1, 'a sibling would be left without it')
            holds.set(step.into, new Map([...(holds.get(step.layer) ?? []), ...(holds.get(step.into) ?? [])]))
          }
          now = afterRemoval(now, [step])
        }
        assert.deepEqual(
          known.map(id => shown(now, holds, id)),
          then,
        )
        for (const { parent } of now.values()) assert.ok(!parent || now.has(parent), 'a layer lost its parent')
      }),
    )
  })

  test('the last child takes along the hidden parents that were kept only for it', () => {
    const base = a({ owned: false })
    const middle = a({ parent: base.id })
    const tip = a({ parent: middle.id, named: true })
    const forest = forestOf([base, middle, tip])
    assert.deepEqual(
      planRemoval(forest, tip.id).map(({ layer }) => layer),
      [tip.id, middle.id, base.id],
    )
    assert.deepEqual(planRemoval(forest, base.id), [{ op: 'keep-hidden', layer: base.id }])
  })

  test('a layer with one child is merged down into it, one with two stays, and the last to go frees it', () => {
    const top = a({ named: true })
    const one = a({ parent: top.id })
    const [left, right] = [a({ parent: one.id, named: true }), a({ parent: one.id, named: true })]
    const forest = forestOf([top, one, left, right])
    assert.deepEqual(steps(planRemoval(forest, one.id)), [`keep-hidden ${one.id}`])
    assert.deepEqual(steps(planRemoval(forest, right.id)), [
      `discard ${right.id}`,
      `merge ${one.id}`,
      `discard ${one.id}`,
    ])
    const after = afterRemoval(forest, planRemoval(forest, right.id))
    assert.equal(after.get(left.id)?.parent, top.id)
  })

  test("a template's copy is never merged into the last clone", () => {
    const copy = a({ owned: false })
    const clone = a({ parent: copy.id, named: true })
    assert.deepEqual(steps(planRemoval(forestOf([copy, clone]), copy.id)), [`keep-hidden ${copy.id}`])
  })

  test('a plan tells what it moves and what it frees', () => {
    const base = a({ bytes: 100 })
    const tip = a({ parent: base.id, named: true, bytes: 7 })
    const forest = forestOf([base, tip])
    assert.deepEqual(costOf(forest, planRemoval(forest, base.id)), { movedBytes: 100, freedBytes: 0 })
    assert.deepEqual(costOf(forest, planRemoval(unnamed(forest, [base.id]), tip.id)), {
      movedBytes: 0,
      freedBytes: 107,
    })
  })
})

describe('VM snapshot', () => {
  test('a refusal says what the snapshot is, and when the action is possible', () => {
    assert.equal(snapshotRefusal({ display_name: 'before', state: 'Ready' }, 'revert'), null)
    assert.equal(
      snapshotRefusal({ display_name: 'before', state: 'Error' }, 'revert'),
      'VM snapshot before is Error; revert is possible only when it is Ready. One in Error can only be deleted',
    )
  })

  test('one that failed can always be deleted, and a revert that failed leaves it Ready', () => {
    assert.equal(vmSnapshotAfter('Error', 'ExpungeRequested'), 'Expunging')
    assert.equal(vmSnapshotAfter('Reverting', 'OperationFailed'), 'Ready')
    assert.equal(vmSnapshotAfter('Expunging', 'ExpungeRefused'), 'Ready')
    assert.equal(vmSnapshotAfter('Creating', 'ExpungeRequested'), null)
    assert.equal(vmSnapshotAfter('Removed', 'ExpungeRequested'), null)
  })

  test('the children of one that goes hang on its parent, which becomes current if it was', () => {
    const node = (id: string, parent: string | null, isCurrent = false) => ({ id, parent, isCurrent })
    const tree = [node('a', null), node('b', 'a', true), node('c', 'a'), node('d', 'b')]
    assert.deepEqual(withoutNode(tree, 'b'), [node('a', null, true), node('c', 'a'), node('d', 'a')])
    assert.deepEqual(withoutNode(tree, 'a'), [node('b', null, true), node('c', null), node('d', 'b')])
    assert.deepEqual(withoutNode([node('a', null, true)], 'a'), [])
  })

  test('people are warned from half of what a machine may have', () => {
    assert.equal(warning(4, 10), null)
    assert.match(warning(5, 10) ?? '', /5 of at most 10/)
  })

  test('its internal name tells the machine and the moment', () => {
    assert.equal(internalName('i-2-5-VM', new Date('2025-01-31T12:00:00Z')), 'i-2-5-VM_VS_20250131120000')
  })
})

describe('names', () => {
  test('host names are one RFC 1123 label', () => {
    for (const name of ['a', 'web-1', 'X'.repeat(63), '1a']) assert.equal(hostNameRefusal(name), null, name)
    for (const name of [
      '',
      '-a',
      'a-',
      'a.b',
      'a/b',
      '..',
      'a b',
      'a\nb',
      'ä',
      'x'.repeat(64),
      '123',
      'a'.repeat(10_000),
    ])
      assert.notEqual(hostNameRefusal(name), null, JSON.stringify(name.slice(0, 20)))
  })

  test('labels are not empty and at most 255 characters', () => {
    assert.equal(labelRefusal('Web server № 1'), null)
    assert.match(labelRefusal('  ') ?? '', /empty/)
    assert.match(labelRefusal('x'.repeat(256)) ?? '', /255.*256/)
  })
})

describe('placement', () => {
  const zone = newId<'zone'>()
  const pool: PoolRoom = {
    id: newId(),
    name: 'p',
    takesNewDisks: true,
    servesDisks: true,
    tags: ['fast', 'mirrored'],
    freeBytes: 100,
  }
  const host = (set: Partial<HostRoom> = {}): HostRoom => ({
    id: newId(),
    name: 'h',
    zone,
    cluster: newId(),
    pod: newId(),
    up: true,
    isOpen: true,
    machinesFree: null,
    cpuFree: 4,
    memoryFreeMib: 1000,
    pools: [pool.id],
    ...set,
  })
  const demand = { zone, cpus: 2, memoryMib: 500, diskBytes: new Map([[pool.id, 50]]) }

  test('takes the host with the most free memory that fits', () => {
    const [small, large] = [host(), host({ memoryFreeMib: 2000 })]
    const chosen = place([small, large], [pool], demand)
    assert.ok('host' in chosen && chosen.host.id === large.id && chosen.pool.id === pool.id)
  })

  test('tells of every host why it does not do', () => {
    const hosts = [
      host({ name: 'down', up: false }),
      host({ name: 'slow', cpuFree: 1 }),
      host({ name: 'full', memoryFreeMib: 10 }),
      host({ name: 'lone', pools: [] }),
    ]
    const chosen = place(hosts, [pool], demand)
    assert.ok('refusal' in chosen)
    for (const name of [
      'down is not Up',
      'slow has 1 of 2 vCPUs',
      'full has 10 of 500 MiB',
      'lone reaches no storage pool that is Up and has',
    ])
      assert.ok(chosen.refusal.includes(name), `${chosen.refusal} lacks "${name}"`)
    assert.deepEqual(place([], [pool], demand), { refusal: 'its zone has no host' })
  })

  test('a full pool does not keep a machine from starting whose disks are there already', () => {
    assert.ok('host' in place([host()], [{ ...pool, freeBytes: -1 }], { ...demand, diskBytes: new Map() }))
  })

  test('hosts of other zones, and of a closed cluster or pod, are no place', () => {
    assert.ok('refusal' in place([host({ zone: newId() })], [pool], demand))
    const chosen = place([host({ name: 'shut', isOpen: false })], [pool], demand)
    assert.ok('refusal' in chosen && chosen.refusal.includes('the cluster or pod of shut is Disabled'))
  })

  test('a host that runs as many machines as it may takes none, but holds those that are only made', () => {
    const full = host({ name: 'busy', machinesFree: 0 })
    const chosen = place([full], [pool], demand)
    assert.ok('refusal' in chosen && chosen.refusal.includes('busy runs as many machines'))
    assert.ok('host' in place([full], [pool], { ...demand, cpus: 0, memoryMib: 0 }))
  })

  test('a pool must have every tag that is asked for', () => {
    assert.ok('host' in place([host()], [pool], { ...demand, tags: ['fast'] }))
    const chosen = place([host()], [pool], { ...demand, tags: ['fast', 'far'] })
    assert.ok('refusal' in chosen && chosen.refusal.includes('has the tags fast, far'))
  })

  test('a pool that takes no new disks still serves those that are there, unless it is not there itself', () => {
    const [disabled, down] = [
      { ...pool, takesNewDisks: false },
      { ...pool, takesNewDisks: false, servesDisks: false },
    ]
    const started = { ...demand, diskBytes: new Map(), pool: pool.id }
    assert.ok('refusal' in place([host()], [disabled], demand))
    assert.ok('host' in place([host()], [disabled], started))
    assert.ok('refusal' in place([host()], [down], started))
  })

  test('a pool without room for the disks is no place', () => {
    assert.ok('refusal' in place([host()], [{ ...pool, freeBytes: 49 }], demand))
  })
})

describe('settings', () => {
  test('every default suits its own setting', () => {
    for (const setting of settings) assert.equal(settingRefusal(setting, setting.value), null, setting.name)
    assert.equal(settingNamed('no.such.setting'), undefined)
  })

  test('a value of the wrong type is refused with the name and the value', () => {
    const flag = settingNamed('kvm.create.full.clone')
    assert.match(
      flag ? (settingRefusal(flag, 'yes') ?? '') : '',
      /kvm\.create\.full\.clone is true or false, not "yes"/,
    )
  })
})
