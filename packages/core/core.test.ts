import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cloneTypes, decideCloneType } from './clone-type.ts'
import { type LayerId, newId, parseId } from './ids.ts'
import { isFinished, jobStatusNumber, mayMove, statesBefore } from './job-state.ts'
import { childrenOf, forestOf, type Layer, planRemoval } from './layer.ts'
import { hostNameRefusal, labelRefusal } from './names.ts'
import { type HostRoom, place, type PoolRoom } from './placement.ts'
import { settingNamed, settingRefusal, settings } from './settings.ts'
import { allowedFrom, refusal, vmAfter } from './vm.ts'

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
  /** A random forest: each layer stands on an earlier one or on nothing. */
  const forests = fc
    .array(fc.record({ parent: fc.nat(), isRoot: fc.boolean(), named: fc.boolean() }), { minLength: 1, maxLength: 30 })
    .map(shapes => {
      const layers: Layer[] = []
      for (const { parent, isRoot, named } of shapes)
        layers.push({
          id: newId<'layer'>(),
          parent: isRoot || layers.length === 0 ? null : (layers[parent % layers.length]?.id ?? null),
          named,
        })
      return forestOf(layers)
    })

  test('removing a name never discards a layer that something stands on or that a person knows', () => {
    fc.assert(
      fc.property(forests, fc.nat(), (forest, pick) => {
        const ids = [...forest.keys()]
        const chosen = ids[pick % ids.length] as LayerId
        const gone = new Set<LayerId>()
        for (const { op, layer } of planRemoval(forest, chosen)) {
          if (op === 'keep-hidden') continue
          assert.ok(
            childrenOf(forest, layer).every(child => gone.has(child.id)),
            'something stands on it',
          )
          assert.ok(layer === chosen || !forest.get(layer)?.named, 'a person knows it')
          gone.add(layer)
        }
        for (const layer of forest.values())
          if (!gone.has(layer.id) && layer.parent) assert.ok(!gone.has(layer.parent), 'a layer lost its parent')
      }),
    )
  })

  test('the last child takes along the hidden parents that were kept only for it', () => {
    const [base, middle, tip] = [newId<'layer'>(), newId<'layer'>(), newId<'layer'>()]
    const forest = forestOf([
      { id: base, parent: null, named: false },
      { id: middle, parent: base, named: false },
      { id: tip, parent: middle, named: true },
    ])
    assert.deepEqual(
      planRemoval(forest, tip).map(({ layer }) => layer),
      [tip, middle, base],
    )
    assert.deepEqual(planRemoval(forest, base), [{ op: 'keep-hidden', layer: base }])
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
