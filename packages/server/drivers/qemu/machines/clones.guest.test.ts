// Instant clones of a guest that works: the same at the cut, apart from then on, and the source goes on as if nothing had been.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { LayerChain } from '../../driver.ts'
import { CloneLab, type Guest, network } from './a-clone-lab.ts'
import { processOf } from '../a-driver.ts'
import { eventually } from '../../../testing/eventually.ts'
import { sshWords, tiny, untilAnswers } from '../guest/a-tiny.ts'
import { chainAsFilename } from '../disks/blockdev.ts'
import { type Capture, aCapture } from '../network/a-capture.ts'
import { tapNames } from '../network/folder.ts'
import { refusal } from '../network/a-network.ts'

const run = promisify(execFile)
const never = new AbortController().signal
const quiet = () => {}
const skip = tiny ? (refusal ?? false) : 'tiny cannot be built here'

describe('instant clones of a guest that works', { skip }, () => {
  const sent = (mac: string, name: string) => capture.cameIn(mac).get(name) ?? 0
  let lab: CloneLab
  let source: Guest
  let capture: Capture
  const clones: Guest[] = []

  before(async () => {
    ;({ lab, source } = await CloneLab.open())
    // It never stops sending, and so do its clones.
    const send = 'while :; do busybox arping -c 1 -w 1 -I $(ls /sys/class/net | grep -v lo | head -n 1) 10.1.1.1; done'
    await source.said(`(${send}) >/dev/null 2>&1 &`)
    await source.said('head -c 4000000 /dev/urandom > /run/blob; echo source > /run/name')
    capture = await aCapture(lab.made.runDirectory, network.id)
  })
  after(async () => {
    await capture?.end()
    await lab.made.dispose()
  })

  test('a running machine is cut for clones in an instant, and a transfer over SSH goes on', async t => {
    const writer = new Writer(lab.key, source.port)
    await writer.reached(5)
    const process = await processOf(lab.made.runDirectory, source.spec.vm)
    const acknowledged = writer.last
    const [old, { image, facts }] = [source.spec.disks, await lab.cut(source)]
    t.diagnostic(`it stood still for ${facts.stunMs} ms`)
    assert.equal(facts.way, 'successor')
    assert.ok(facts.stunMs !== null && facts.stunMs < 5000)
    assert.notEqual((await processOf(lab.made.runDirectory, source.spec.vm))?.pid, process?.pid)
    await writer.reached(writer.last + 5)
    writer.stop()
    assert.ok((await numberIn(old[1]!.chain)) >= acknowledged)
    for (const { chain } of old) await check(chain)
    clones.push(...(await Promise.all([1, 2, 3].map(() => lab.clone(source, old, image)))))
    const first = await Promise.all(clones.map(each => lab.randomOf(each)))
    assert.equal(new Set(first).size, clones.length, first.join())
  })

  test('a clone finds what its source had in mind, on a card of its own', async () => {
    await Promise.all(clones.map(clone => lab.pluggedIn(clone)))
    const blob = await source.said('md5sum < /run/blob')
    const [own] = source.spec.nics
    for (const clone of clones) {
      const [its] = clone.spec.nics
      const said = await clone.said('md5sum < /run/blob; cat /run/name; cat /sys/class/net/*/address')
      assert.ok(said.startsWith(`${blob}\nsource\n`), said)
      assert.ok(said.includes(its!.mac) && !said.includes(own!.mac), said)
    }
  })

  test('no frame with the address of its source ever came from a clone, and none of its own before it had its card', async () => {
    const [card] = source.spec.nics
    const names: readonly string[] = tapNames(card!.id)
    await eventually('the source goes on sending', async () =>
      names.some(name => sent(card!.mac, name) > 0) ? true : null,
    )
    assert.deepEqual(
      [...capture.cameIn(card!.mac).keys()].filter(name => !names.includes(name)),
      [],
    )
    for (const { spec } of clones) {
      const [its] = spec.nics
      const own: readonly string[] = tapNames(its!.id)
      assert.ok(
        own.some(name => sent(its!.mac, name) > 0),
        'the capture hears clones',
      )
      const foreign = [...capture.cameIn(its!.mac).keys()].filter(name => !own.includes(name))
      assert.deepEqual(foreign, [])
    }
  })

  test('what one writes to memory and disk, no other sees', async () => {
    const all = [source, ...clones]
    const write =
      'head -c 1000000 /dev/urandom > /root/own; sync; md5sum < /root/own > /run/own; echo 3 > /proc/sys/vm/drop_caches'
    await Promise.all(all.map((guest, index) => guest.said(`echo me-${index} > /run/name; ${write}`)))
    const sums = await Promise.all(all.map(guest => guest.said('cat /run/name; md5sum < /root/own; cat /run/own')))
    for (const [index, text] of sums.entries()) {
      const [name, now, then] = text.split('\n')
      assert.equal(name, `me-${index}`)
      assert.ok(now && now === then)
    }
    assert.equal(new Set(sums.map(text => text.split('\n')[1])).size, all.length)
  })

  test('a clone is cloned, and so is the source again, and each finds what its own source had in mind', async () => {
    await Promise.all(clones.splice(1).map(each => lab.removed(each)))
    const parents = [source, clones[0]!]
    await Promise.all(
      parents.map(async (parent, index) => {
        const [old, { image, facts }] = [parent.spec.disks, await lab.cut(parent)]
        assert.equal(facts.way, 'copy') // its memory is mapped privately
        const child = await lab.clone(parent, old, image)
        await lab.pluggedIn(child)
        const said = await child.said('cat /run/name; md5sum < /root/own; echo child > /run/name')
        assert.equal(said, await parent.said('cat /run/name; md5sum < /root/own'))
        assert.ok(said.startsWith(`me-${index}`))
        await lab.removed(child)
      }),
    )
  })

  test('a frozen clone is what others start from, and it wakes up where it was', async () => {
    const frozen = clones[0]!
    const image = lab.memory()
    await frozen.said('echo frozen > /run/name; sync')
    await lab.driver.machines.freeze(frozen.spec.vm, image, quiet, never)
    const all = [await lab.clone(frozen, frozen.spec.disks, image)]
    for (const _ of ['one', 'another']) all.push(await lab.clone(frozen, frozen.spec.disks, image, true))
    const first = await Promise.all(all.map(each => lab.randomOf(each)))
    assert.equal(new Set(first).size, all.length, first.join())
    await Promise.all(all.map(each => lab.pluggedIn(each)))
    for (const each of all) {
      const said = await each.said(
        'cat /run/name; cat /sys/class/net/*/address; echo > /root/own && sync && echo written',
      )
      assert.ok(said.startsWith('frozen\n') && said.includes(each.spec.nics[0]!.mac) && said.endsWith('written'), said)
    }
    const disks = await lab.grown(frozen.spec.disks)
    const woken = await lab.started({ ...frozen.spec, disks, memory: image, isClone: false })
    await untilAnswers(woken.port)
    assert.equal(await woken.said('cat /run/name'), 'frozen')
    for (const each of [...all, woken]) await lab.removed(each)
  })
})

/** Writes a rising number to the data disk, flushed, and tells when it is there: over one connection all the time. */
class Writer {
  last = 0
  readonly #ssh: ChildProcess

  constructor(key: string, port: number) {
    const write = `printf '%08d' $i | busybox dd of=/dev/vdb conv=fsync,notrunc 2>/dev/null`
    this.#ssh = spawn('ssh', sshWords(key, port, `i=0; while :; do i=$((i+1)); ${write}; echo $i; done`), {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#ssh.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.last = Math.max(this.last, ...text.split('\n').map(Number))
    })
  }

  stop(): void {
    this.#ssh.kill()
  }

  async reached(number: number): Promise<void> {
    while (this.last < number) {
      assert.equal(this.#ssh.exitCode, null, 'the connection ended')
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
