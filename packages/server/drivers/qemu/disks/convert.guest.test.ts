// A linked clone becomes a full one while its guest writes: whatever happens meanwhile, to the server or to QEMU, what the guest was
// told is on the disk is there, and so is all that it never touched; and in the end its files stand on nothing.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { anOwner } from '../../contract.ts'
import type { DiskSpec, Driver, LayerChain, LayerRef, MachineSpec } from '../../driver.ts'
import { aQemuDriver, type QemuUnderTest } from '../a-driver.ts'
import { aTinyMachine, inGuest, sshWords, tiny, untilAnswers } from '../guest/a-tiny.ts'
import { chainAsFilename, writableChainAsFilename } from './blockdev.ts'
import { layerFile } from './layer-files.ts'

const run = promisify(execFile)
const never = new AbortController().signal
const quiet = () => {}
const mib = 2 ** 20
const dataBytes = 64 * mib

describe('a linked clone becomes a full one while its guest writes', {
  skip: tiny ? false : 'tiny cannot be built here',
}, () => {
  let made: QemuUnderTest
  let driver: Driver
  let spec: MachineSpec
  let [key, port] = ['', 0]
  let [root, data]: DiskSpec[] = []
  /** Of all programs on the root disk, as the guest reads them. */
  let programs: string
  const said = (command: string) => inGuest(key, port, command).then(text => text.trim())
  const sumOfPrograms = () =>
    said('busybox find /bin /lib /usr -xdev -type f | sort | xargs busybox md5sum | busybox md5sum')

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    const machine = await aTinyMachine(made)
    key = machine.key
    const [base, tip] = [aLayer(), aLayer()]
    await driver.layers.blank(base, dataBytes, anOwner)
    await run('qemu-io', ['-c', 'write -q -P 7 1M 40M', writableChainAsFilename([base])])
    await driver.layers.fork(tip, [base], dataBytes, anOwner)
    root = machine.spec.disks[0]
    data = { deviceId: 1, chain: [base, tip] }
    spec = { ...machine.spec, disks: [root, data] }
    await start(spec)
    programs = await sumOfPrograms()
    assert.match(programs, /^[0-9a-f]{32}/)
  })
  after(() => made.dispose())

  test('a disk is made to stand on nothing, and what it stood on can go', async () => {
    const writer = new Writer(key, port)
    await writer.reached(3)
    const [base, tip] = data!.chain as unknown as [LayerRef, LayerRef]
    for (const _ of ['first', 'again'])
      assert.equal(await driver.machines.merge(spec.vm, data!, flat(tip), quiet, never), true)
    await driver.layers.discard(base)
    data = { deviceId: 1, chain: [tip] }
    await writer.reached(writer.last + 3)
    await writer.stop()
    assert.equal(
      await said('busybox dd if=/dev/vdb bs=1M skip=1 count=40 2>/dev/null | busybox tr -d "\\007" | busybox wc -c'),
      '0',
    )
    assert.equal(await backingOf(tip), undefined)
  })

  test('the server and then QEMU end half way: a repeat finishes, and nothing is lost', async () => {
    const tip = root!.chain.at(-1)!
    const writer = new Writer(key, port)
    await writer.reached(3)
    const slow = { ...flat(tip), bytesPerSecond: 4 * mib }
    const abort = new AbortController()
    let percent = 0
    const first = driver.machines.merge(spec.vm, root!, slow, at => (percent = at), abort.signal)
    while (percent < 1) await sleep(10)
    await driver.close()
    await assert.rejects(first)
    driver = await made.again()
    let seen = 0
    const second = driver.machines.merge(spec.vm, root!, slow, at => (seen = at), never)
    while (seen <= percent) await sleep(10)
    await writer.reached(writer.last + 3)
    assert.ok(seen < 99, `it was at ${seen} %`)
    await made.crash(spec.vm)
    await writer.ended
    assert.equal(await second, false)
    await driver.layers.merge(root!.chain, flat(tip), anOwner, quiet, never)
    for (const layer of root!.chain.slice(0, -1)) await driver.layers.discard(layer)
    assert.equal(await backingOf(tip), undefined)
    root = { deviceId: 0, chain: [tip] }
    for (const { chain } of [root, data!]) await check(chain)
    await start({ ...spec, disks: [root, data!] })
    assert.equal(await sumOfPrograms(), programs)
    const number = Number(await said('cat /root/number'))
    assert.ok(number >= writer.last, `${number} of ${writer.last}`)
    assert.ok((await numberOn(data!.chain)) >= writer.last)
  })

  async function start(of: MachineSpec): Promise<void> {
    const { sshPorts } = await driver.machines.start(of)
    port = sshPorts[of.nics[0]!.id]!
    await untilAnswers(port)
  }

  function aLayer(): LayerRef {
    return { pool: made.pool, id: newId<'layer'>() }
  }
})

function flat(into: LayerRef) {
  return { into, onto: null, bytesPerSecond: null }
}

/** Writes a rising number to a file on the root disk and to the data disk, each flushed, and tells when both have it. */
class Writer {
  last = 0
  readonly ended: Promise<unknown>
  readonly #ssh: ChildProcess

  constructor(key: string, port: number) {
    const write = (to: string) => `printf '%08d' $i | busybox dd of=${to} conv=fsync,notrunc 2>/dev/null`
    const loop = `i=$(( $(cat /root/number 2>/dev/null | busybox sed 's/^0*//') + 0 )); while :; do i=$((i+1)); ${write('/root/number')}; ${write('/dev/vdb')}; echo $i; done`
    this.#ssh = spawn('ssh', sshWords(key, port, loop), { stdio: ['ignore', 'pipe', 'ignore'] })
    this.ended = once(this.#ssh, 'exit')
    this.#ssh.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.last = Math.max(this.last, ...text.split('\n').map(Number))
    })
  }

  async stop(): Promise<void> {
    this.#ssh.kill()
    await this.ended
  }

  async reached(number: number): Promise<void> {
    while (this.last < number) {
      assert.equal(this.#ssh.exitCode, null, 'the writer ended')
      await sleep(20)
    }
  }
}

async function backingOf(layer: LayerRef): Promise<string | undefined> {
  const { stdout } = await run('qemu-img', ['info', '-U', '--output=json', '-f', 'qcow2', layerFile(layer)])
  return (JSON.parse(stdout) as { 'backing-filename'?: string })['backing-filename']
}

async function check(chain: LayerChain): Promise<void> {
  const said = await run('qemu-img', ['check', '-U', '-f', 'qcow2', layerFile(chain.at(-1) ?? chain[0])])
  assert.match(said.stdout, /No errors were found/)
}

async function numberOn(chain: LayerChain): Promise<number> {
  const { stdout } = await run('qemu-io', ['-r', '-U', '-c', 'read -v 0 512', chainAsFilename(chain)])
  const bytes = /^00000000: +((?:[0-9a-f]{2} ){8})/m.exec(stdout)?.[1] ?? ''
  return Number(Buffer.from(bytes.replaceAll(' ', ''), 'hex').toString('latin1'))
}
