// A machine goes on in another process, and something is killed meanwhile: exactly one process is left, and it runs, or none is.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rename, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@ramet/core/ids.ts'
import { aMachine, anOwner } from '../contract.ts'
import type { Cut, Driver, LayerRef, MachineSpec, MemoryImageRef } from '../driver.ts'
import type { Order } from './a-cutting-server.ts'
import { aQemuDriver, type QemuUnderTest } from './a-driver.ts'
import { machineOfArguments } from './argv.ts'
import { machineFolder, ramDirectory, readRecord } from './machine-folder.ts'
import { Qmp } from './qmp.ts'
import { findPrograms, isAlive, killAndWait, type ProcessId } from './process.ts'

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
    [
      'its successor is recorded',
      spec => theSuccessor(spec).then(each => untilTrue(async () => (await recordOf(spec)) === each.pid)),
    ],
  ]
  for (const [moment, come] of moments)
    test(`runs in one process, of those that there were, when the server is killed as ${moment}`, async () => {
      const { spec, cut } = await aRunningMachine()
      await driver.close()
      const server = serve({ runDirectory: made.runDirectory, vm: spec.vm, cut })
      await Promise.race([come(spec), once(server, 'exit')])
      server.kill('SIGKILL')
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
      driver = await made.again()
      await driver.machines.adopt()
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

  test('a machine that is frozen while the server is killed is off with its image, or runs on without', async () => {
    const { spec, cut } = await aRunningMachine()
    const image = cut.memory!
    await driver.close()
    const server = serve({ runDirectory: made.runDirectory, vm: spec.vm, freeze: image })
    await untilTrue(() => isThere(machineFolder(made.runDirectory, spec.vm).frozen))
    server.kill('SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    driver = await made.again()
    await driver.machines.adopt()
    const isOff = (await driver.machines.facts(spec.vm)).power === 'off'
    assert.equal((await driver.memory.facts(image)) !== null, isOff)
    if (!isOff) await isOne(spec)
    const facts = await driver.machines.freeze(spec.vm, image, quiet, never)
    assert.ok(facts.inHostMemory)
    assert.deepEqual(await processesOf(spec), [])
    await removed(spec)
    await driver.memory.discard(image)
  })

  function serve(order: Order): ChildProcess {
    const program = join(import.meta.dirname, 'a-cutting-server.ts')
    return spawn(process.execPath, [program, JSON.stringify(order)], { stdio: ['ignore', 'ignore', 'inherit'] })
  }

  async function aRunningMachine() {
    const [root, layer] = [aLayer(), aLayer()]
    await driver.layers.blank(root, gib, anOwner)
    await driver.layers.fork(layer, [root], gib, anOwner)
    const spec = aMachine(root, { nics: [], host: made.hosts[0] })
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
