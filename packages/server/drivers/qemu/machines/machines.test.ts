// Machines as processes: who they run as, what survives the server, and what is left when they end. Guests here have an empty
// disk, so firmware looks for something to boot for ever; tiny.test.ts has a guest that answers.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFile, chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '@ramet/core/ids.ts'
import type { LayerRef, MachineSpec } from '../../driver.ts'
import { aMachine, anOwner } from '../../contract.ts'
import { aQemuDriver, processOf, quietLog } from '../a-driver.ts'
import type { QemuUnderTest } from '../a-driver.ts'
import { machineArguments } from './argv.ts'
import { cutLog } from './console.ts'
import { qemuDriver } from '../driver.ts'
import { findMachines, observeMachines } from './find-machines.ts'
import { findInstalled } from '../host.ts'
import { launch, prepareFiles, releaseSockets } from '../process/launch.ts'
import { machineFolder, makeFolder, ramDirectory, readRecord } from './machine-folder.ts'
import { defaultUidBase } from '../options.ts'
import { privilegesOf } from '../process/privileges.ts'
import { bootId, isAlive, killAndWait, processAt } from '../process/process.ts'

const never = new AbortController().signal
const asRoot = process.getuid?.() === 0

describe('machines on QEMU', () => {
  let made: QemuUnderTest
  const folderOf = ({ vm }: MachineSpec) => machineFolder(made.runDirectory, vm)

  async function aSpec(about: Partial<MachineSpec> = {}): Promise<MachineSpec> {
    const layer: LayerRef = { pool: made.pool, id: newId<'layer'>() }
    await made.driver.layers.blank(layer, 2 ** 30, anOwner)
    return aMachine(layer, about)
  }

  async function aRunning(about: Partial<MachineSpec> = {}): Promise<MachineSpec> {
    const spec = await aSpec(about)
    await made.driver.machines.start(spec)
    return spec
  }

  async function removed({ vm }: MachineSpec, driver = made.driver): Promise<void> {
    await driver.machines.stop(vm, 0, never)
    await driver.machines.discard(vm)
  }

  async function pidOf({ vm }: MachineSpec): Promise<number> {
    const found = await processOf(made.runDirectory, vm)
    assert.ok(found, 'the machine has a process')
    return found.pid
  }

  before(async () => {
    made = await aQemuDriver()
    await made.driver.pools.prepare(made.pool)
  })
  after(() => made.dispose())

  test('a machine runs as its account, without any right', { skip: !asRoot }, async () => {
    const spec = await aRunning()
    const status = await readFile(`/proc/${await pidOf(spec)}/status`, 'utf8')
    const uid = defaultUidBase + anOwner.accountNumber
    for (const line of [
      `Uid:\t${uid}\t${uid}\t${uid}\t${uid}`,
      `Gid:\t${uid}\t`,
      'NoNewPrivs:\t1',
      'Seccomp:\t2',
      'CapEff:\t0000000000000000',
      'CapPrm:\t0000000000000000',
    ])
      assert.ok(status.includes(line), `${line} in ${status}`)
    assert.match(status, /^Groups:\s*$/m)
    await removed(spec)
  })

  test('a machine inherits no file and no environment of the server', async () => {
    const secret = await import('node:fs').then(fs => fs.openSync('/etc/hostname', 'r'))
    const spec = await aRunning()
    const pid = await pidOf(spec)
    const names = await Promise.all(
      (await readdir(`/proc/${pid}/fd`)).map(fd =>
        import('node:fs/promises').then(fs => fs.readlink(`/proc/${pid}/fd/${fd}`)),
      ),
    )
    assert.ok(!names.includes('/etc/hostname'))
    const variables = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').filter(Boolean)
    assert.deepEqual(new Set(variables.map(each => each.split('=')[0])), new Set(['HOME', 'LC_ALL', 'PATH']))
    await import('node:fs').then(fs => fs.closeSync(secret))
    await removed(spec)
  })

  test('the seed is readable by its machine alone, and the folder is not writable for it', {
    skip: !asRoot,
  }, async () => {
    const spec = await aRunning()
    const seed = await stat(folderOf(spec).seed)
    assert.deepEqual([seed.uid, seed.mode & 0o777], [defaultUidBase + anOwner.accountNumber, 0o400])
    const folder = await stat(folderOf(spec).path)
    assert.deepEqual([folder.uid, folder.mode & 0o777], [0, 0o711])
    await removed(spec)
  })

  test('when a machine is off, only its folder is left, and nothing when it is discarded', async () => {
    const spec = await aRunning()
    await made.driver.machines.stop(spec.vm, 0, never)
    assert.deepEqual((await readdir(folderOf(spec).path)).toSorted(), ['console.log', 'qemu.log', 'run', 'seed.iso'])
    await assert.rejects(stat(ramDirectory(made.runDirectory)), { code: 'ENOENT' })
    await made.driver.machines.discard(spec.vm)
    await assert.rejects(stat(folderOf(spec).path), { code: 'ENOENT' })
  })

  test('a machine that is killed is cleaned up after', async () => {
    const spec = await aRunning()
    const gone = new Promise<string>(resolve => made.driver.onPowerChange(change => resolve(change.reason)))
    const pid = await pidOf(spec)
    process.kill(pid, 'SIGKILL')
    assert.equal(await gone, `the process ${pid} ended by signal SIGKILL`)
    await made.driver.machines.stop(spec.vm, 0, never)
    assert.equal(await readRecord(folderOf(spec)), null)
    await removed(spec)
  })

  test('a machine that outlived its server is found, watched and stopped by the next', async () => {
    const spec = await aRunning()
    const earlier = await made.driver.machines.facts(spec.vm)
    await made.driver.close()
    made = { ...made, driver: await made.again() }
    assert.deepEqual(
      (await made.driver.machines.adopt()).filter(each => each.vm === spec.vm),
      [earlier],
    )
    const gone = new Promise<string>(resolve => made.driver.onPowerChange(change => resolve(change.reason)))
    const since = Date.now()
    await made.crash(spec.vm)
    assert.match(await gone, /^the process \d+ ended$/)
    assert.ok(Date.now() - since < 1000)
    await removed(spec)
  })

  test('a machine whose server died before it wrote its record is found by its command line, port and all', async () => {
    const spec = await aSpec()
    const started = await launchedAndForgotten(spec)
    made = { ...made, driver: await made.again() }
    const facts = await made.driver.machines.start(spec)
    assert.equal(await pidOf(spec), started.pid)
    assert.deepEqual(facts.sshPorts, started.ports)
    assert.equal((await readRecord(folderOf(spec)))?.pid, started.pid)
    await removed(spec)
  })

  /** What is there when a server is killed right after it started a process. */
  async function launchedAndForgotten(spec: MachineSpec) {
    const folder = folderOf(spec)
    const identity = privilegesOf(defaultUidBase, process.getuid?.() ?? 0).account(spec.owner)
    await makeFolder(folder, identity)
    const sockets = await prepareFiles(spec, folder, identity, true)
    const { machineType } = await findInstalled()
    const ports = { [spec.nics[0]!.id]: 40000 + Math.floor(Math.random() * 9999) }
    const launched = await launch({ spec, folder, ports, accelerator: 'tcg', machineType }, sockets, null, identity)
    releaseSockets(sockets)
    return { pid: launched.process.pid, ports }
  }

  test('QEMU itself refuses to run the same machine twice', async () => {
    const spec = await aRunning()
    const { machineType } = await findInstalled()
    const args = machineArguments({ spec, folder: folderOf(spec), ports: {}, accelerator: 'tcg', machineType })
    const second = spawn(
      'qemu-system-x86_64',
      args.filter(arg => !arg.includes(':22')),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    let said = ''
    second.stderr.on('data', text => (said += text))
    const code = await new Promise(resolve => second.once('close', resolve))
    assert.equal(code, 1)
    assert.match(said, /cannot (create PID file|lock)/i)
    await removed(spec)
  })

  test('half a record, or one of another process, leads nowhere', async () => {
    const spec = await aSpec()
    const folder = folderOf(spec)
    await makeFolder(folder, null)
    const victim = spawn('sleep', ['60'])
    const running = processAt(victim.pid!)!
    for (const record of [
      '{"pid":',
      JSON.stringify({ ...running, startTime: '1', sshPorts: {} }),
      JSON.stringify({ ...running, boot: 'other', sshPorts: {} }),
    ]) {
      await writeFile(folder.record, record)
      const driver = await made.again()
      assert.equal((await driver.machines.facts(spec.vm)).power, 'off')
      await driver.machines.stop(spec.vm, 0, never)
      await driver.close()
    }
    assert.ok(isAlive(running), 'the other process was not touched')
    victim.kill('SIGKILL')
    await removed(spec)
  })

  test('a pid that was used again is not the same process', async () => {
    const mine = processAt(process.pid)!
    assert.ok(isAlive(mine))
    assert.ok(!isAlive({ ...mine, startTime: '1' }))
    assert.ok(!isAlive({ ...mine, boot: 'another boot' }))
    assert.equal(mine.boot, bootId)
    assert.equal(await killAndWait({ ...mine, startTime: '1' }, 100), true) // and this test lives on
  })

  test('the SSH port stays the same while it is free, and is another one when it is not', async () => {
    const spec = await aRunning()
    const nic = spec.nics[0]!
    const sshPort = (await made.driver.machines.facts(spec.vm)).sshPorts[nic.id]!
    await made.driver.machines.stop(spec.vm, 0, never)
    const again = { ...spec, nics: [{ ...nic, sshPort }] }
    assert.equal((await made.driver.machines.start(again)).sshPorts[nic.id], sshPort)
    await made.driver.machines.stop(spec.vm, 0, never)
    const taken = createServer().listen(sshPort, '127.0.0.1')
    await new Promise(resolve => taken.once('listening', resolve))
    const other = (await made.driver.machines.start(again)).sshPorts[nic.id]
    assert.notEqual(other, sshPort)
    taken.close()
    await removed(spec)
  })

  test('a machine that hangs is ended all the same, when its time is up', async () => {
    const spec = await aRunning()
    process.kill(await pidOf(spec), 'SIGSTOP')
    const since = performance.now()
    await made.driver.machines.stop(spec.vm, 3000, never)
    const took = performance.now() - since
    assert.ok(took >= 3000 && took < 8000, `took ${took} ms`)
    assert.equal(await processOf(made.runDirectory, spec.vm), undefined)
    await removed(spec)
  })

  test('a guest that does not shut down is cut off when its time is up', async () => {
    const spec = await aRunning()
    const since = Date.now()
    await made.driver.machines.stop(spec.vm, 700, never)
    assert.ok(Date.now() - since >= 700)
    await removed(spec)
  })

  test('an abort gives up waiting for a guest and leaves it on', async () => {
    const spec = await aRunning()
    const abort = new AbortController()
    const stopped = made.driver.machines.stop(spec.vm, 60_000, abort.signal)
    setTimeout(() => abort.abort(), 300)
    await assert.rejects(stopped, { kind: 'cancelled' })
    assert.equal((await made.driver.machines.facts(spec.vm)).power, 'on')
    await removed(spec)
  })

  test("a failed start tells what QEMU said, and a missing layer's file is named", async () => {
    const spec = await aSpec()
    await rm(join(made.pool.path, 'layers', `${spec.disks[0].chain[0].id}.qcow2`))
    await assert.rejects(made.driver.machines.start(spec), {
      kind: 'unavailable',
      code: 'qemu-start-failed',
      message: /No such file/,
    })
    await assert.rejects(stat(folderOf(spec).path), { code: 'ENOENT' })
  })

  test('a process whose folder is gone is listed and can be stopped', async () => {
    const spec = await aRunning()
    await rm(folderOf(spec).path, { recursive: true })
    made = { ...made, driver: await made.again() }
    assert.equal((await made.driver.machines.list()).find(each => each.vm === spec.vm)?.power, 'on')
    await made.driver.machines.stop(spec.vm, 0, never)
    assert.equal(await processOf(made.runDirectory, spec.vm), undefined)
    await removed(spec)
  })

  test('whoever only looks sees a machine and changes nothing', async () => {
    const spec = await aSpec()
    const { pid } = await launchedAndForgotten(spec)
    const names = await readdir(folderOf(spec).path)
    const seen = await observeMachines(made.runDirectory)
    assert.equal(seen.find(each => each.vm === spec.vm)?.power, 'on')
    assert.deepEqual(await readdir(folderOf(spec).path), names)
    process.kill(pid, 'SIGKILL')
    while (processAt(pid)) await sleep(10)
    assert.equal((await observeMachines(made.runDirectory)).find(each => each.vm === spec.vm)?.power, 'off')
    assert.deepEqual(await readdir(folderOf(spec).path), names)
    await removed(spec)
  })

  test('a process of another user does not count as a machine, whatever its arguments', { skip: !asRoot }, async () => {
    const spec = await aSpec()
    const folder = folderOf(spec)
    const identity = privilegesOf(defaultUidBase, 0).account(anOwner)
    await makeFolder(folder, identity)
    const args = ['-c', 'read line', 'sh', '-uuid', spec.vm, '-pidfile', folder.lock]
    for (const [uid, counts] of [
      [65_534, false],
      [0, false],
      [identity!.uid, true],
    ] as const) {
      const child = spawn('sh', args, { uid, stdio: ['pipe', 'ignore', 'ignore'] })
      const ended = new Promise(resolve => child.once('exit', resolve))
      while (!(await readFile(`/proc/${child.pid}/cmdline`, 'utf8')).includes('-pidfile')) await sleep(5)
      assert.equal((await findMachines(made.runDirectory)).has(spec.vm), counts, `as user ${uid}`)
      child.stdin.end()
      await ended
    }
    await removed(spec)
  })

  test('what a machine put into its own folder is removed with its rights only', { skip: !asRoot }, async () => {
    const spec = await aRunning()
    const { run, lock, path } = folderOf(spec)
    await made.driver.machines.stop(spec.vm, 0, never)
    await mkdir(join(run, 'of-root'))
    await writeFile(join(run, 'of-root', 'kept'), '')
    await assert.rejects(made.driver.machines.discard(spec.vm), { code: 'ENOTEMPTY' })
    await stat(join(run, 'of-root', 'kept'))
    await rm(join(run, 'of-root'), { recursive: true })
    await mkdir(join(lock, 'closed', 'folder'), { recursive: true })
    const owner = defaultUidBase + anOwner.accountNumber
    for (const each of [lock, join(lock, 'closed'), join(lock, 'closed', 'folder')]) await chown(each, owner, owner)
    await chmod(join(lock, 'closed'), 0)
    await made.driver.machines.discard(spec.vm)
    await assert.rejects(stat(path), { code: 'ENOENT' })
  })

  test('a folder in the place of its lock does not keep a machine from starting again', { skip: !asRoot }, async () => {
    const spec = await aRunning()
    const { lock } = folderOf(spec)
    await rm(lock)
    await mkdir(join(lock, 'inner'), { recursive: true })
    const owner = defaultUidBase + anOwner.accountNumber
    for (const each of [lock, join(lock, 'inner')]) await chown(each, owner, owner)
    await made.driver.machines.stop(spec.vm, 0, never)
    await made.driver.machines.start(spec)
    await removed(spec)
  })

  test('a log keeps its end when it grows too long', async () => {
    const log = join(made.folder, 'log')
    await writeFile(log, 'old\n'.repeat(300_000))
    await appendFile(log, 'new')
    await cutLog(log)
    const text = await readFile(log, 'utf8')
    assert.ok(text.length <= 256 * 1024 && text.endsWith('new'))
  })

  test('a folder that is too long for sockets, or relative, is refused with the reason', async () => {
    const options = { acceleration: 'tcg', log: quietLog } as const
    await assert.rejects(qemuDriver({ ...options, runDirectory: `/tmp/${'long'.repeat(20)}` }), {
      kind: 'invalid',
      message: /107 bytes/,
    })
    await assert.rejects(qemuDriver({ ...options, runDirectory: 'vms' }), { kind: 'invalid', message: /absolute/ })
  })

  test('nothing is left over', async () => {
    await sleep(50)
    assert.deepEqual(await made.driver.machines.list(), [])
    await made.driver.close()
    await assert.rejects(stat(ramDirectory(made.runDirectory)), { code: 'ENOENT' })
  })
})
