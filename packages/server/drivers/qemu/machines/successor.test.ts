// A machine goes on in another process, and something is killed meanwhile: exactly one process is left, and it runs, or none is.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rename, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@ramet/core/ids.ts'
import { aCard, aNetwork } from '../../contract-networks.ts'
import { aMachine, anOwner } from '../../contract.ts'
import type { Cut, Driver, LayerRef, MachineSpec, MemoryImageRef } from '../../driver.ts'
import type { Order } from './a-cutting-server.ts'
import { aQemuDriver, type QemuUnderTest } from '../a-driver.ts'
import { machineOfArguments } from './argv.ts'
import { machineFolder, ramDirectory, readRecord } from './machine-folder.ts'
import { memoryFolder } from '../memory/memory-files.ts'
import { Qmp } from '../process/qmp.ts'
import { findPrograms, isAlive, killAndWait, type ProcessId } from '../process/process.ts'

const never = new AbortController().signal
const quiet = () => {}
const gib = 2 ** 30

describe('a machine that goes on in another process', () => {
  let made: QemuUnderTest
  let driver: Driver

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    await driver.pools.prepare(made.pool)
  })
  after(() => made.dispose())

  test('is one process again, with its sockets, and its memory is the image’s alone', async () => {
    const { spec, cut } = await aRunningMachine()
    const facts = await driver.machines.cut(spec.vm, cut, quiet, never)
    assert.equal(facts.way, 'successor')
    await isOne(spec)
    const names = await readdir(machineFolder(made.runDirectory, spec.vm).path, { recursive: true })
    assert.deepEqual(
      names.filter(name => name.endsWith('.next')),
      [],
    )
    assert.deepEqual(
      (await readdir(ramDirectory(made.runDirectory))).filter(name => name.startsWith(spec.vm)),
      [],
    )
    assert.deepEqual(await driver.machines.activeLayers(spec.vm), new Map([[0, cut.disks[0].layer.id]]))
    await removed(spec)
    await driver.memory.discard(cut.memory!)
    assert.deepEqual(await readdir(ramDirectory(made.runDirectory)).catch(() => []), [])
  })

  test('a VM snapshot’s memory ends up on the pool, and not in the host’s memory', async () => {
    const { spec, cut } = await aRunningMachine()
    const facts = await driver.machines.cut(spec.vm, { ...cut, inHostMemory: false }, quiet, never)
    assert.equal(facts.way, 'successor')
    assert.equal(facts.memory?.inHostMemory, false)
    assert.deepEqual(await driver.memory.facts(cut.memory!), facts.memory)
    await assert.rejects(stat(join(ramDirectory(made.runDirectory), made.pool.id, `${cut.memory!.id}.ram`)))
    await isOne(spec)
    await removed(spec)
    await driver.memory.discard(cut.memory!)
  })

  test('runs on where it was when its successor is killed, and is cut all the same', async () => {
    const { spec, cut } = await aRunningMachine()
    const [first] = await processesOf(spec)
    const killing = theSuccessor(spec).then(each => killAndWait(each, 5000))
    const way = await driver.machines.cut(spec.vm, cut, quiet, never).then(
      facts => facts.way,
      async () => {
        const { machine: _, ...unknown } = cut
        return (await driver.machines.cut(spec.vm, unknown, quiet, never)).way
      },
    )
    await killing
    assert.equal(way, 'copy')
    assert.deepEqual(await pidsOf(spec), [first?.pid])
    await isOne(spec)
    await removed(spec)
    await driver.memory.discard(cut.memory!)
  })

  test('runs on where it was when its successor cannot become it, and is cut later', async () => {
    const { spec, cut } = await aRunningMachine()
    const [first] = await processesOf(spec)
    const { record } = machineFolder(made.runDirectory, spec.vm)
    await rename(record, `${record}.kept`)
    await mkdir(record) // nothing can be put in its place
    await assert.rejects(driver.machines.cut(spec.vm, cut, quiet, never))
    await rmdir(record)
    await rename(`${record}.kept`, record)
    assert.deepEqual(await pidsOf(spec), [first?.pid])
    await isOne(spec)
    assert.equal(await driver.memory.facts(cut.memory!), null)
    assert.deepEqual(await driver.machines.activeLayers(spec.vm), new Map([[0, spec.disks[0].chain[0].id]]))
    assert.equal((await driver.machines.cut(spec.vm, cut, quiet, never)).way, 'successor')
    await isOne(spec)
    await removed(spec)
    await driver.memory.discard(cut.memory!)
  })

  test('is off when it is killed itself, and no successor is left', async () => {
    const { spec, cut } = await aRunningMachine()
    const [first] = await processesOf(spec)
    const killing = theSuccessor(spec).then(() => killAndWait(first!, 5000))
    await assert.rejects(driver.machines.cut(spec.vm, cut, quiet, never), { code: 'machine-off' })
    await killing
    assert.deepEqual(await processesOf(spec), [])
    assert.equal((await driver.machines.facts(spec.vm)).power, 'off')
    assert.equal((await driver.machines.start(spec)).power, 'on')
    await removed(spec)
    await driver.memory.discard(cut.memory!)
  })

  const moments: readonly [string, (spec: MachineSpec) => Promise<unknown>][] = [
    ['its successor is started', spec => theSuccessor(spec)],
    [
      'it was stopped',
      spec => untilTrue(() => isThere(machineFolder(made.runDirectory, spec.vm).memory)).then(() => sleep(60)),
    ],
    ['its successor is recorded', spec => theSuccessor(spec).then(each => isRecorded(spec, each))],
  ]
  for (const [moment, come] of moments)
    test(`runs in one process, of those that there were, when the server is killed as ${moment}`, async () => {
      const { spec, cut } = await aRunningMachine()
      await killedWhile({ vm: spec.vm, cut }, () => come(spec))
      await isOne(spec)
      const again = await driver.machines
        .cut(spec.vm, cut, quiet, never)
        .catch((error: { code?: string }) => error.code)
      assert.ok(again === 'memory-not-saved' || (again as { memory: unknown }).memory, JSON.stringify(again))
      await isOne(spec)
      assert.deepEqual(await driver.machines.activeLayers(spec.vm), new Map([[0, cut.disks[0].layer.id]]))
      await removed(spec)
      await driver.memory.discard(cut.memory!)
    })

  const replacing: typeof moments = [
    ['its successor is started', spec => theSuccessor(spec)],
    ['its successor loads', spec => theSuccessor(spec).then(() => sleep(60))],
    ['its successor is recorded', spec => theSuccessor(spec).then(each => isRecorded(spec, each))],
  ]
  for (const [moment, come] of replacing)
    test(`is brought back to its memory while the server is killed as ${moment}, and once more`, async () => {
      const { spec, cut, network } = await aMachineInANetwork()
      await driver.machines.cut(spec.vm, cut, quiet, never)
      const back = aLayer()
      await driver.layers.fork(back, spec.disks[0].chain, gib, anOwner)
      const disks: MachineSpec['disks'] = [{ deviceId: 0, chain: [...spec.disks[0].chain, back] }]
      const wanted = { ...spec, disks, memory: cut.memory! }
      await killedWhile({ vm: spec.vm, replace: wanted }, () => come(spec))
      await isOne(spec)
      const [layer] = (await driver.machines.activeLayers(spec.vm))!.values()
      assert.ok(layer === cut.disks[0].layer.id || layer === back.id)
      await driver.machines.replace(wanted)
      await isOne(spec)
      assert.deepEqual(await driver.machines.activeLayers(spec.vm), new Map([[0, back.id]]))
      await removed(spec)
      if (network) await driver.networks.remove(network.id)
      await driver.memory.discard(cut.memory!)
      assert.deepEqual(await ramFiles(), [])
    })

  const freezing: readonly [string, (spec: MachineSpec, image: MemoryImageRef) => Promise<unknown>][] = [
    ['begins', spec => untilTrue(() => isThere(machineFolder(made.runDirectory, spec.vm).frozen))],
    ['has its image', (_, image) => untilTrue(async () => (await driver.memory.facts(image)) !== null)],
  ]
  for (const [moment, come] of freezing)
    test(`a machine that is frozen is off with its image, or runs on without, when the server is killed as it ${moment}`, async () => {
      const { spec, cut } = await aRunningMachine()
      const image = cut.memory!
      await killedWhile({ vm: spec.vm, freeze: image }, () => come(spec, image))
      const isOff = (await driver.machines.facts(spec.vm)).power === 'off'
      assert.equal((await driver.memory.facts(image)) !== null, isOff)
      if (!isOff) await isOne(spec)
      const facts = await driver.machines.freeze(spec.vm, image, quiet, never)
      assert.ok(facts.inHostMemory)
      assert.deepEqual(await processesOf(spec), [])
      // It goes on from its image, which stays; and a later server leaves it alone.
      await driver.machines.start({ ...spec, memory: image })
      await nextServer()
      await isOne(spec)
      await removed(spec)
      await driver.memory.discard(image)
      assert.deepEqual(await ramFiles(), [])
    })

  test('memory that was on its way to the pool when the server was killed is there in the end, and only there', async () => {
    const { spec, cut } = await aRunningMachine()
    const { memory } = cut
    const onItsWay = join(memoryFolder(made.pool), `${memory!.id}.ram`)
    const wanted = { ...cut, inHostMemory: false }
    await killedWhile({ vm: spec.vm, cut: wanted }, () => untilTrue(() => isThere(onItsWay)))
    await isOne(spec)
    for (const _ of ['on', 'again']) {
      const facts = (await driver.machines.cut(spec.vm, wanted, quiet, never)).memory
      assert.equal(facts?.inHostMemory, false)
      assert.equal(await driver.memory.fits(memory!), null)
      assert.deepEqual(
        (await ramFiles()).filter(name => name.includes(memory!.id)),
        [],
      )
    }
    await isOne(spec)
    await removed(spec)
    await driver.memory.discard(memory!)
    assert.deepEqual(await ramFiles(), [])
  })

  /** What lies in the host's memory. */
  const ramFiles = () => readdir(ramDirectory(made.runDirectory), { recursive: true }).catch(() => [])

  /** Another server is told to do something, and killed in the middle of it; then there is the next one. */
  async function killedWhile(order: Omit<Order, 'runDirectory'>, come: () => Promise<unknown>): Promise<void> {
    await driver.close()
    const server = serve({ ...order, runDirectory: made.runDirectory })
    const exit = once(server, 'exit')
    await Promise.race([come(), exit])
    server.kill('SIGKILL')
    await exit
    await nextServer()
  }

  async function nextServer(): Promise<void> {
    await driver.close()
    driver = await made.again()
    await driver.machines.adopt()
  }

  function serve(order: Order): ChildProcess {
    const program = join(import.meta.dirname, 'a-cutting-server.ts')
    return spawn(process.execPath, [program, JSON.stringify(order)], { stdio: ['ignore', 'ignore', 'inherit'] })
  }

  async function aMachineInANetwork() {
    const network = driver.capabilities.networks ? aNetwork() : null
    return { ...(await aRunningMachine(network ? [aCard(network)] : [])), network }
  }

  async function aRunningMachine(nics: MachineSpec['nics'] = []) {
    const [root, layer] = [aLayer(), aLayer()]
    await driver.layers.blank(root, gib, anOwner)
    await driver.layers.fork(layer, [root], gib, anOwner)
    const spec = aMachine(root, { nics, host: made.hosts[0] })
    await driver.machines.start(spec)
    const memory: MemoryImageRef = { pool: made.pool, id: newId<'memory-image'>() }
    const about = { memory, inHostMemory: true, machine: spec, quiesce: false }
    const cut: Cut = { disks: [{ disk: spec.disks[0], layer }], ...about }
    return { spec, cut }
  }

  function aLayer(): LayerRef {
    return { pool: made.pool, id: newId<'layer'>() }
  }

  /** One process, which is recorded, and whose CPUs run. */
  async function isOne(spec: MachineSpec): Promise<void> {
    const [only, ...others] = await processesOf(spec)
    assert.ok(only && others.length === 0)
    assert.equal((await driver.machines.facts(spec.vm)).power, 'on')
    assert.equal(await recordOf(spec), only.pid)
    await untilTrue(async () => (await statusOf(spec)) === 'running') // who stands still is let go on a moment after it was found
  }

  async function statusOf({ vm }: MachineSpec): Promise<string> {
    await driver.close()
    const qmp = await Qmp.connect(machineFolder(made.runDirectory, vm).qmp, () => {}, 5000)
    const { status } = await qmp.execute('query-status')
    qmp.close()
    driver = await made.again()
    await driver.machines.adopt()
    return status
  }

  async function removed({ vm }: MachineSpec): Promise<void> {
    await driver.machines.stop(vm, 0, never)
    await driver.machines.discard(vm)
  }

  async function processesOf({ vm }: MachineSpec) {
    const found = await findPrograms(args => machineOfArguments(args, made.runDirectory)?.vm === vm)
    return found.filter(each => isAlive(each))
  }

  async function pidsOf(spec: MachineSpec): Promise<(number | undefined)[]> {
    return (await processesOf(spec)).map(({ pid }) => pid)
  }

  async function theSuccessor({ vm }: MachineSpec): Promise<ProcessId> {
    for (;;) {
      const [found] = await findPrograms(args => {
        const named = machineOfArguments(args, made.runDirectory)
        return named?.vm === vm && named.isSuccessor
      })
      if (found) return found
      await sleep(1)
    }
  }

  function isRecorded(spec: MachineSpec, { pid }: ProcessId): Promise<void> {
    return untilTrue(async () => (await recordOf(spec)) === pid)
  }

  async function recordOf({ vm }: MachineSpec): Promise<number | undefined> {
    return (await readRecord(machineFolder(made.runDirectory, vm)))?.pid
  }
})

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function untilTrue(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(2)
}
