// A guest for the benchmark of VM snapshots: `tiny` on a driver of its own, with a root disk and a data disk, some of its memory
// filled, and the same operations as the server's jobs do on it.
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { newId } from '@ramet/core/ids.ts'
import type {
  CutFacts,
  DiskSpec,
  Driver,
  LayerChain,
  LayerRef,
  MachineSpec,
  MemoryImageRef,
  PoolRef,
} from '@ramet/server/drivers/driver.ts'
import { layerFile } from '@ramet/server/drivers/qemu/disks/layer-files.ts'
import { qemuDriver } from '@ramet/server/drivers/qemu/driver.ts'
import { buildTiny } from '../../images/tiny/build.ts'
import { imageCache } from '../image-cache.ts'

const run = promisify(execFile)
const owner = { accountNumber: 1 }
const never = new AbortController().signal
const quiet = () => {}
const mib = 2 ** 20
const quietLog = { info() {}, warn() {}, error() {} }

export class SnapshotLab {
  driver: Driver
  readonly pool: PoolRef
  readonly key: string
  readonly template: LayerRef
  readonly rootBytes: number
  readonly #open: () => Promise<Driver>

  private constructor(
    driver: Driver,
    open: () => Promise<Driver>,
    pool: PoolRef,
    key: string,
    template: LayerRef,
    rootBytes: number,
  ) {
    this.driver = driver
    this.#open = open
    this.pool = pool
    this.key = key
    this.template = template
    this.rootBytes = rootBytes
  }

  static async open(folder: string): Promise<SnapshotLab> {
    await mkdir(folder)
    await chmod(folder, 0o711)
    const openDriver = () => qemuDriver({ runDirectory: join(folder, 'vms'), acceleration: 'tcg', log: quietLog })
    const driver = await openDriver()
    const pool = { id: newId<'storage-pool'>(), path: join(folder, 'pool') }
    await driver.pools.prepare(pool)
    const key = join(folder, 'key')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const { file } = await buildTiny({ directory: imageCache() })
    const { virtualBytes } = await driver.images.inspect(file, 'qcow2', 2 ** 40)
    const template = { pool, id: newId<'layer'>() }
    await driver.layers.seed(template, file, 'qcow2', null, quiet, never)
    return new SnapshotLab(driver, openDriver, pool, key, template, virtualBytes)
  }

  layer(): LayerRef {
    return { pool: this.pool, id: newId<'layer'>() }
  }

  async fork(chain: LayerChain): Promise<LayerChain> {
    const layer = this.layer()
    const { virtualBytes } = (await this.driver.layers.facts(chain.at(-1) ?? chain[0])) ?? { virtualBytes: 0 }
    await this.driver.layers.fork(layer, chain, virtualBytes, owner)
    return [...chain, layer] as unknown as LayerChain
  }

  /** Boots, and fills a part of its memory with something unless it is to stay idle. */
  async guest(memoryMib: number, data: LayerChain | null = null, isFilled = true): Promise<SnapshotGuest> {
    const root = await this.fork([this.template])
    const blank = this.layer()
    if (!data) await this.driver.layers.blank(blank, 1024 * mib, owner)
    const disks: DiskSpec[] = [
      { deviceId: 0, chain: root },
      { deviceId: 1, chain: data ?? [blank] },
    ]
    const sshKey = (await readFile(`${this.key}.pub`, 'utf8')).trim()
    const spec: MachineSpec = {
      vm: newId<'vm'>(),
      host: { id: newId<'host'>(), name: 'here' },
      name: 'bench',
      owner,
      cpus: 1,
      memoryMib,
      generationId: globalThis.crypto.randomUUID(),
      disks: disks as unknown as MachineSpec['disks'],
      nics: [
        { id: newId<'nic'>(), deviceId: 0, mac: '02:00:4c:00:00:09', kind: 'user-nat', outward: false, sshPort: null },
      ],
      cdrom: null,
      firstBoot: { instanceId: 'i-1', hostname: 'bench', sshKeys: [sshKey], passwordHash: null, userData: null },
    }
    const { sshPorts } = await this.driver.machines.start(spec)
    const guest = new SnapshotGuest(this, spec, disks, Object.values(sshPorts)[0] ?? 0)
    await guest.untilAnswers()
    if (isFilled) await guest.say(fillMemory(memoryMib))
    return guest
  }

  /** Lets go of the machines, whose monitors have one line each, and finds them again afterwards. */
  async withoutDriver(act: () => Promise<void>): Promise<void> {
    await this.driver.close()
    try {
      await act()
    } finally {
      this.driver = await this.#open()
      await this.driver.machines.adopt()
    }
  }

  close(): Promise<void> {
    return this.driver.close()
  }
}

export class SnapshotGuest {
  readonly #lab: SnapshotLab
  readonly spec: MachineSpec
  readonly port: number
  disks: DiskSpec[]

  constructor(lab: SnapshotLab, spec: MachineSpec, disks: DiskSpec[], port: number) {
    this.#lab = lab
    this.spec = spec
    this.disks = disks
    this.port = port
  }

  get vm() {
    return this.spec.vm
  }

  sshWords(command: string): string[] {
    const settings = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'ConnectTimeout=5']
    const options = ['-i', this.#lab.key, ...settings.flatMap(each => ['-o', each]), '-p', String(this.port)]
    return [...options, 'root@127.0.0.1', command]
  }

  async say(command: string): Promise<string> {
    return (await run('ssh', this.sshWords(command))).stdout
  }

  async untilAnswers(): Promise<void> {
    for (const deadline = Date.now() + 120_000; Date.now() < deadline; await sleep(200))
      if ((await this.say('echo up').catch(() => '')) === 'up\n') return
    throw new Error('the guest does not answer')
  }

  /** A snapshot as the job takes it: new layers, then the cut. */
  async cut(memory: MemoryImageRef | null): Promise<CutFacts> {
    const next = await Promise.all(this.disks.map(async disk => ({ ...disk, chain: await this.#lab.fork(disk.chain) })))
    const [root, ...data] = this.disks.map((disk, index) => ({ disk, layer: next[index]!.chain.at(-1)! }))
    const facts = await this.#lab.driver.machines.cut(
      this.vm,
      { disks: [root!, ...data], memory, quiesce: false },
      quiet,
      never,
    )
    this.disks = next
    return facts
  }

  image(): MemoryImageRef {
    return { pool: this.#lab.pool, id: newId<'memory-image'>() }
  }

  /** Milliseconds from the request to running CPUs. The old process is gone, and the new layers are there, before. */
  async revert(disks: readonly DiskSpec[], memory: MemoryImageRef): Promise<number> {
    const { driver } = this.#lab
    await driver.machines.stop(this.vm, 0, never)
    this.disks = await Promise.all(disks.map(async disk => ({ ...disk, chain: await this.#lab.fork(disk.chain) })))
    const spec = {
      ...this.spec,
      disks: this.disks as unknown as MachineSpec['disks'],
      nics: this.spec.nics.map(nic => ({ ...nic, sshPort: this.port })),
      generationId: globalThis.crypto.randomUUID(),
      memory,
    }
    const begin = performance.now()
    await driver.machines.start(spec)
    return performance.now() - begin
  }

  /** Makes a disk stand on nothing, while the guest works. */
  async flatten(place: number): Promise<void> {
    const disk = this.disks[place]!
    const tip = disk.chain.at(-1)!
    await this.#lab.driver.machines.merge(this.vm, disk, { into: tip, onto: null, bytesPerSecond: null }, quiet, never)
    this.disks = this.disks.with(place, { ...disk, chain: [tip] })
  }

  /** Merges the layer right below the tip of a disk, while the guest works. */
  async merge(place: number): Promise<void> {
    const disk = this.disks[place]!
    const [from, into] = [disk.chain.at(-2)!, disk.chain.at(-1)!]
    const merge = { into, onto: disk.chain.at(-3) ?? null, bytesPerSecond: null }
    await this.#lab.driver.machines.merge(this.vm, disk, merge, quiet, never)
    const chain = disk.chain.filter(({ id }) => id !== from.id) as unknown as LayerChain
    this.disks = this.disks.with(place, { ...disk, chain })
  }

  async remove(): Promise<void> {
    await this.#lab.driver.machines.stop(this.vm, 0, never)
    await this.#lab.driver.machines.discard(this.vm)
  }
}

/** Of a guest with so much memory, fills four tenths; what did not get there is an error. */
export function fillMemory(memoryMib: number): string {
  const bytes = Math.round(memoryMib * 0.4) * mib
  // A guest under TCG copies much faster than it makes text.
  const piece = `busybox yes | busybox head -c ${mib} > /tmp/piece`
  const filled = `${piece} && for i in $(busybox seq ${bytes / mib}); do busybox cat /tmp/piece; done > /tmp/fill`
  return `mount -o remount,size=90% /tmp && ${filled}; sync; [ "$(busybox wc -c < /tmp/fill)" = ${bytes} ]`
}

/** Writes `megabytes` into a layer that no machine has open. */
export async function fill(layer: LayerRef, megabytes: number): Promise<void> {
  const pieces = Array.from({ length: megabytes }, (_, index) => [
    '-c',
    `write -q -P ${1 + (index % 250)} ${index}M 1M`,
  ])
  await run('qemu-io', ['-f', 'qcow2', ...pieces.flat(), layerFile(layer)])
}
