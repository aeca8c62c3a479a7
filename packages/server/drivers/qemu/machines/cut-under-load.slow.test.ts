// A guest writes to its file system and flushes without end while it is cut for clones, again and again: the disk of each cut passes fsck
// and holds all that was acknowledged before, and so does each clone.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { LayerChain } from '../../driver.ts'
import { chainAsFilename } from '../disks/blockdev.ts'
import { sshWords, tiny } from '../guest/a-tiny.ts'
import { refusal } from '../network/a-network.ts'
import { CloneLab, type Guest } from './a-clone-lab.ts'

const run = promisify(execFile)
const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` }
const skip = tiny ? (refusal ?? false) : 'tiny cannot be built here'
const cuts = 4
const sectorBytes = 512

describe('cuts of a guest that writes and flushes', { skip, timeout: 900_000 }, () => {
  let lab: CloneLab
  let source: Guest
  let writer: Writer

  before(async () => {
    ;({ lab, source } = await CloneLab.open())
    writer = new Writer(lab.key, source.port)
  })
  after(async () => {
    writer?.stop()
    await lab?.made.dispose()
  })

  for (let cut = 1; cut <= cuts; cut += 1)
    test(`cut ${cut}: its disk and its clone hold all that was acknowledged before`, async t => {
      await writer.reached(writer.last + 10)
      const acknowledged = writer.last
      const [old, { image, facts }] = [source.spec.disks, await lab.cut(source)]
      t.diagnostic(`${facts.way}: it stood still for ${facts.stunMs} ms`)
      const [onDisk] = await Promise.all([lastOnDisk(old[0].chain, cut), writer.reached(writer.last + 5)])
      assert.ok(onDisk >= acknowledged, `${onDisk} on disk, ${acknowledged} acknowledged`)
      const clone = await lab.clone(source, old, image)
      await lab.pluggedIn(clone)
      assert.ok(Number(await clone.said('tail -n 1 /root/log')) >= acknowledged)
      await clone.said('sync')
      const { chain } = clone.spec.disks[0]
      await lab.removed(clone)
      assert.ok((await lastOnDisk(chain, cut)) >= acknowledged)
    })

  /** After its journal was gone through, as at a boot, not a single error is left. */
  async function lastOnDisk(chain: LayerChain, cut: number): Promise<number> {
    const raw = join(lab.made.folder, `cut-${cut}.raw`)
    await run('qemu-img', ['convert', '-U', '-O', 'raw', chainAsFilename(chain), raw])
    const fileSystem = join(lab.made.folder, `cut-${cut}.ext4`)
    const start = await firstSector(raw)
    await run('dd', [`if=${raw}`, `of=${fileSystem}`, 'bs=1M', `skip=${start * sectorBytes}`, 'iflag=skip_bytes'])
    await run('e2fsck', ['-p', '-E', 'journal_only', fileSystem], { env })
    const { stdout } = await run('e2fsck', ['-f', '-n', fileSystem], { env })
    assert.match(stdout, /Pass 5/)
    const log = (await run('debugfs', ['-R', 'cat /root/log', fileSystem], { env })).stdout
    const lines = log.trim().split('\n')
    return Number(lines.at(-1))
  }
})

async function firstSector(disk: string): Promise<number> {
  const file = await open(disk)
  const { buffer } = await file.read(Buffer.alloc(sectorBytes), 0, sectorBytes).finally(() => file.close())
  return buffer.readUInt32LE(446 + 8)
}

/** Appends a rising number to a file, flushed, and tells when it is there; other files come and go meanwhile. */
class Writer {
  last = 0
  readonly #ssh: ChildProcess

  constructor(key: string, port: number) {
    const append = `echo $i | busybox dd of=/root/log oflag=append conv=fsync,notrunc 2>/dev/null`
    const churn =
      'mkdir -p /root/d/$((i%7)); head -c 30000 /dev/urandom > /root/d/$((i%7))/$((i%13)); rm -f /root/d/$(((i+3)%7))/*'
    this.#ssh = spawn('ssh', sshWords(key, port, `i=0; while :; do i=$((i+1)); ${churn}; ${append} && echo $i; done`), {
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
      await sleep(50)
    }
  }
}
