// Snapshots of a guest that works meanwhile: what it wrote and was told is safe stays, at every cut, revert and merge.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import { anOwner } from '../../contract.ts'
import type { Cut, DiskSpec, Driver, LayerChain, LayerRef, MachineSpec, MemoryImageRef } from '../../driver.ts'
import { aQemuDriver, type QemuUnderTest } from '../a-driver.ts'
import { aTinyMachine, inGuest, sshWords, tiny, untilAnswers } from '../guest/a-tiny.ts'
import { chainAsFilename } from '../disks/blockdev.ts'
import { GuestAgent } from '../guest/guest-agent.ts'
import { machineFolder } from './machine-folder.ts'

const run = promisify(execFile)
const never = new AbortController().signal
const quiet = () => {}
const dataBytes = 64 * 2 ** 20

describe('snapshots of a guest that works', { skip: tiny ? false : 'tiny cannot be built here' }, () => {
  let made: QemuUnderTest
  let driver: Driver
  let spec: MachineSpec
  let key: string
  let port: number
  /** As they are now, by place: root, and two disks without a file system. */
  let disks: DiskSpec[]
  const said = (command: string) => inGuest(key, port, command).then(text => text.trim())
  const aLayer = (): LayerRef => ({ pool: made.pool, id: newId<'layer'>() })

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    const machine = await aTinyMachine(made)
    key = machine.key
    const data = [aLayer(), aLayer()]
    for (const layer of data) await driver.layers.blank(layer, dataBytes, anOwner)
    disks = [...machine.spec.disks, ...data.map((layer, index) => ({ deviceId: index + 1, chain: [layer] as const }))]
    spec = { ...machine.spec, disks: disksOf() }
    const { sshPorts } = await driver.machines.start(spec)
    port = sshPorts[spec.nics[0]!.id]!
    spec = { ...spec, nics: spec.nics.map(nic => ({ ...nic, sshPort: port })) }
    await untilAnswers(port)
  })
  after(() => made.dispose())

  test('disks are cut at one instant, while the guest writes', async () => {
    const writer = new Writer(key, port)
    await writer.reached(5)
    const old = disks
    const { stunMs, memory } = await cut()
    assert.ok(stunMs !== null && stunMs < 5000 && memory === null)
    await writer.reached(writer.last + 5)
    writer.stop()
    await writer.ended
    const [first, second] = [await numberIn(old[1]!.chain), await numberIn(old[2]!.chain)]
    assert.ok(first >= 5 && (first === second || first === second + 1), `cut between ${first} and ${second}`)
    for (const disk of old) await check(disk.chain)
  })

  test('a guest goes on from its memory, at the same address, with the right clock and new random numbers', async () => {
    await said(
      'echo kept > /root/a; sync; (i=0; while :; do i=$((i+1)); echo $i > /run/count; sleep 0.05; done) >/dev/null 2>&1 &',
    )
    const boot = await said('cat /proc/sys/kernel/random/boot_id')
    const memory = aMemory()
    const old = disks
    const facts = await cut({ memory })
    assert.ok(facts.stunMs !== null && facts.stunMs < 5000, `it stood still for ${facts.stunMs} ms`)
    assert.ok((facts.memory?.allocatedBytes ?? 0) > 2 ** 20)
    // The file is empty for an instant, each time it is written.
    const count = async () => Number(await said('c=; until [ "$c" ]; do c=$(cat /run/count); done; echo $c'))
    assert.ok((await count()) > 0)
    await said('echo lost > /root/b; rm /root/a; sync; touch /run/lost')
    for (const _ of ['first', 'again']) {
      await revert(old, memory)
      assert.equal(await driver.machines.setClock(spec.vm, 5000), 'set')
      assert.equal(await said('cat /proc/sys/kernel/random/boot_id'), boot)
      const [early, text, late] = [Date.now(), await said('date +%s; busybox adjtimex'), Date.now()]
      const clock =
        Number(/time\.tv_sec: +(\d+)/.exec(text)?.[1]) * 1000 + Number(/tv_usec: +(\d+)/.exec(text)?.[1]) / 1000
      assert.ok(
        clock > early - 250 && clock < late + 250,
        `the guest has ${clock}, the host ${early} to ${late}: ${text}`,
      )
      const now = await count()
      while ((await count()) <= now) await sleep(50) // what the guest was at goes on
      assert.equal(await said('cat /root/a; ls /root/b /run/lost 2>&1 | grep -c "No such"'), 'kept\n2')
      assert.match(await said('dmesg'), /crng reseeded due to virtual machine fork/)
    }
  })

  test('a guest that went on from a memory is saved, reverted and restarted like any other', async () => {
    const memory = aMemory()
    await said('echo second > /run/second')
    const old = disks
    await cut({ memory, quiesce: true })
    await said('rm /run/second')
    await revert(old, memory)
    assert.equal(await said('cat /run/second; echo x > /root/c; sync; echo written'), 'second\nwritten')
    await driver.memory.discard(memory)
    const boot = await said('cat /proc/sys/kernel/random/boot_id')
    await said('reboot')
    let now = boot
    for (const deadline = Date.now() + 90_000; (now === boot || now === '') && Date.now() < deadline; )
      now = await said('cat /proc/sys/kernel/random/boot_id')
    assert.notEqual(now, boot)
    assert.equal(await said('cat /root/c'), 'x')
  })

  test('a guest is brought to rest and woken, also by the next server', async () => {
    while ((await driver.machines.setClock(spec.vm, 1000)) !== 'set') await sleep(100) // its agent comes up after SSH
    assert.equal((await cut({ quiesce: true })).quiesced, 'quiesced')
    assert.equal(await said('echo awake > /root/d; sync; cat /root/d'), 'awake')
    await driver.close()
    const folder = machineFolder(made.runDirectory, spec.vm)
    await writeFile(folder.quiesced, '')
    const agent = await GuestAgent.connect(folder.agent)
    assert.ok(Number((await agent.command('guest-fsfreeze-freeze', {}, 10_000))?.value) > 0)
    agent.close()
    driver = await made.again()
    await driver.machines.adopt()
    assert.equal(await said('echo again > /root/d; sync; cat /root/d'), 'again')
  })

  test('a layer is merged while the guest writes: nothing is lost of what it was told is written, and the other child is as it was', async () => {
    const writer = new Writer(key, port)
    await writer.reached(5)
    const disk = disks[1]!
    await cut()
    const sibling = aLayer()
    const siblingChain = [...disk.chain, sibling] as unknown as LayerChain
    await driver.layers.fork(sibling, disk.chain, dataBytes, anOwner)
    const shown = await sum(siblingChain)
    const [from, into] = [disks[1]!.chain.at(-2)!, disks[1]!.chain.at(-1)!]
    assert.equal(
      await driver.machines.merge(spec.vm, disks[1]!, { into, onto: null, bytesPerSecond: null }, quiet, never),
      true,
    )
    disks = disks.with(1, {
      ...disks[1]!,
      chain: disks[1]!.chain.filter(({ id }) => id !== from.id) as unknown as LayerChain,
    })
    await writer.reached(writer.last + 5)
    await made.crash(spec.vm)
    await writer.ended
    for (const { chain } of disks.slice(1))
      assert.ok((await numberIn(chain)) >= writer.last, `${await numberIn(chain)} of ${writer.last}`)
    for (const each of disks) await check(each.chain)
    assert.equal(await sum(siblingChain), shown)
  })

  function disksOf(): MachineSpec['disks'] {
    return disks as unknown as MachineSpec['disks']
  }

  function aMemory(): MemoryImageRef {
    return { pool: made.pool, id: newId<'memory-image'>() }
  }

  async function cut(about: Partial<Cut> = {}) {
    const next = await grown(disks)
    const pairs = disks.map((disk, index) => ({ disk, layer: next[index]!.chain.at(-1)! }))
    const wanted = { disks: pairs as unknown as Cut['disks'], memory: null, quiesce: false, ...about }
    const facts = await driver.machines.cut(spec.vm, wanted, quiet, never)
    disks = next
    return facts
  }

  async function revert(to: readonly DiskSpec[], memory: MemoryImageRef): Promise<void> {
    await driver.machines.stop(spec.vm, 0, never)
    disks = await grown(to)
    const generationId = globalThis.crypto.randomUUID()
    const { sshPorts } = await driver.machines.start({ ...spec, disks: disksOf(), memory, generationId })
    assert.deepEqual(Object.values(sshPorts), [port])
  }

  async function grown(from: readonly DiskSpec[]): Promise<DiskSpec[]> {
    return Promise.all(
      from.map(async disk => {
        const layer = aLayer()
        const facts = await driver.layers.facts(disk.chain.at(-1)!)
        await driver.layers.fork(layer, disk.chain, facts!.virtualBytes, anOwner)
        return { ...disk, chain: [...disk.chain, layer] as unknown as LayerChain }
      }),
    )
  }
})

/** Writes a rising number to both data disks, the first first, each flushed, and tells when both have it. */
class Writer {
  last = 0
  readonly ended: Promise<unknown>
  readonly #ssh: ChildProcess

  constructor(key: string, port: number) {
    const write = (disk: string) => `printf '%08d' $i | busybox dd of=/dev/${disk} conv=fsync,notrunc 2>/dev/null`
    const loop = `i=$(( $(busybox dd if=/dev/vdb bs=8 count=1 2>/dev/null | busybox tr -dc 0-9 | busybox sed 's/^0*//') + 0 )); while :; do i=$((i+1)); ${write('vdb')}; ${write('vdc')}; echo $i; done`
    this.#ssh = spawn('ssh', sshWords(key, port, loop), { stdio: ['ignore', 'pipe', 'ignore'] })
    this.ended = once(this.#ssh, 'exit')
    this.#ssh.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.last = Math.max(this.last, ...text.split('\n').map(Number))
    })
  }

  stop(): void {
    this.#ssh.kill()
  }

  async reached(number: number): Promise<void> {
    while (this.last < number) {
      assert.equal(this.#ssh.exitCode, null, 'the writer ended')
      await sleep(20)
    }
  }
}

async function numberIn(chain: LayerChain): Promise<number> {
  const { stdout } = await run('qemu-io', ['-r', '-U', '-c', 'read -v 0 512', chainAsFilename(chain)])
  const bytes = /^00000000: +((?:[0-9a-f]{2} ){8})/m.exec(stdout)?.[1] ?? ''
  return Number(Buffer.from(bytes.replaceAll(' ', ''), 'hex').toString('latin1'))
}

async function check(chain: LayerChain): Promise<void> {
  const file = JSON.parse(chainAsFilename(chain).slice(5)) as { file: { filename: string } }
  const said = await run('qemu-img', ['check', '-U', '-f', 'qcow2', file.file.filename])
  assert.match(said.stdout, /No errors were found/)
}

/** Of all that the disk shows. */
async function sum(chain: LayerChain): Promise<string> {
  const script = 'qemu-img convert -U -O raw "$1" "$2" && md5sum < "$2"; rm -f "$2"'
  return (await run('sh', ['-c', script, 'sh', chainAsFilename(chain), `/tmp/ramet-sum-${process.pid}`])).stdout
}
