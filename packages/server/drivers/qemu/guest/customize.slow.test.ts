// A clone of a running Debian cloud image, which knows nothing of us: systemd, OpenSSH, networkd by way of netplan, cloud-init.
// Emulated, it takes a minute or more to boot.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { identityProblems as problems } from '@ramet/core/identity.ts'
import { newId } from '@ramet/core/ids.ts'
import { buildDebian, whyNoDebian } from '../../../../../images/debian/build.ts'
import { aMachine, anOwner } from '../../contract.ts'
import type { Driver, GuestIdentity, LayerChain, MachineSpec, NatNicSpec } from '../../driver.ts'
import { aQemuDriver, type QemuUnderTest } from '../a-driver.ts'
import { sshWords, untilAnswers } from './a-tiny.ts'
import { machineIdOf } from './customize.ts'

const run = promisify(execFile)
const never = new AbortController().signal
const cache = join(process.env['RAMET_CACHE'] ?? join(homedir(), '.cache', 'ramet'), 'images')
const reason = await whyNoDebian()
const keysOf = 'cat /etc/ssh/ssh_host_*_key.pub | sort'

describe('a clone of a Debian cloud image', { timeout: 1_800_000, skip: reason ?? false }, () => {
  let made: QemuUnderTest
  let driver: Driver
  let key: string
  let source: { spec: MachineSpec; port: number }
  let clone: { spec: MachineSpec; port: number; begun: number }
  const said = async ({ port }: { port: number }, command: string) =>
    (await run('ssh', sshWords(key, port, command).with(-2, 'debian@127.0.0.1'))).stdout.trim()

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    key = join(made.folder, 'key')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await chmod(key, 0o600)
    const spec = await aDebian()
    const { sshPorts } = await driver.machines.start(spec)
    source = { spec, port: sshPorts[spec.nics[0]!.id]! }
    await untilAnswers(source.port)
    await said(source, 'cloud-init status --wait >/dev/null; systemctl is-system-running --wait')
    clone = await aClone()
  })
  after(() => made?.dispose())

  test('gets all of its identity, and an address on a card that its image was never told of', async () => {
    const keys = await said(source, keysOf)
    const begin = performance.now()
    assert.deepEqual(await customize(), [])
    const { sshPorts } = await driver.machines.facts(clone.spec.vm)
    clone.port = sshPorts[clone.spec.nics[0]!.id]!
    assert.ok(performance.now() - begin < 120_000)
    assert.equal(await said(clone, 'hostname; cat /etc/hostname'), 'deb-clone\ndeb-clone')
    assert.equal(await said(clone, 'cat /etc/machine-id'), machineIdOf(clone.spec.vm))
    assert.match(await said(clone, 'ip -brief -4 address show scope global'), /^\S+ +UP +10\.0\.2\.15\/24[^\n]*$/)
    const own = await said(clone, keysOf)
    assert.ok(own.split('\n').length >= 3)
    for (const line of own.split('\n')) assert.ok(!keys.includes(line), line)
    const shown = await run('ssh-keyscan', ['-t', 'ed25519', '-p', String(clone.port), '127.0.0.1'])
    assert.ok(own.includes(shown.stdout.trim().split(' ').at(-1) ?? 'none'))
  })

  test('draws other random numbers than its source: its agent had it reseed, by way of perl', async () => {
    const drawn = await Promise.all([
      said(source, 'head -c 32 /dev/urandom | base64'),
      said(clone, 'head -c 32 /dev/urandom | base64'),
    ])
    assert.notEqual(drawn[0], drawn[1])
    assert.ok(
      !(await driver.machines.customize(source.spec.vm, identityOf(source.spec, 0), 120_000, never)).includes(
        problems.rng,
      ),
    )
  })

  test('stays who it is over a repeat and a restart: cloud-init finds nothing new', async () => {
    const earlier = await said(clone, `cat /etc/machine-id; ${keysOf}`)
    const boot = await said(clone, 'cat /proc/sys/kernel/random/boot_id')
    assert.deepEqual(await customize(), [])
    await said(clone, 'sudo reboot').catch(() => {})
    let now = boot
    while (now === boot || now === '') {
      await sleep(1000)
      now = await said(clone, 'cat /proc/sys/kernel/random/boot_id').catch(() => '')
    }
    await said(clone, 'cloud-init status --wait || true')
    assert.equal(await said(clone, `cat /etc/machine-id; ${keysOf}`), earlier)
    assert.equal(await said(clone, 'hostname'), 'deb-clone')
  })

  const customize = () =>
    driver.machines.customize(clone.spec.vm, identityOf(clone.spec, Date.now() - clone.begun), 120_000, never)

  async function aDebian(): Promise<MachineSpec> {
    await driver.pools.prepare(made.pool)
    const [base, root] = [aLayer(), aLayer()]
    const file = await buildDebian(cache)
    const { virtualBytes } = await driver.images.inspect(file, 'qcow2', 2 ** 40)
    await driver.layers.seed(base, file, 'qcow2', null, () => {}, never)
    await driver.layers.fork(root, [base], virtualBytes, anOwner)
    const sshKeys = [(await run('cat', [`${key}.pub`])).stdout.trim()]
    const firstBoot = { instanceId: 'i-1', hostname: 'deb', sshKeys, passwordHash: null, userData: null }
    return aMachine(root, {
      memoryMib: 768,
      disks: [{ deviceId: 0, chain: [base, root] }],
      nics: [aCard(0)],
      firstBoot,
    })
  }

  /** With the source's memory, and another card than it had. */
  async function aClone() {
    const { spec } = source
    const memory = { pool: made.pool, id: newId<'memory-image'>() }
    const disks = await onNewLayer(spec)
    const cut = { disk: spec.disks[0], layer: disks[0].chain.at(-1)! }
    await driver.machines.cut(spec.vm, { disks: [cut], memory, quiesce: false }, () => {}, never)
    const vm = newId<'vm'>()
    const firstBoot = { ...spec.firstBoot, instanceId: vm, hostname: 'deb-clone' }
    const generationId = globalThis.crypto.randomUUID()
    const its = { ...spec, vm, generationId, firstBoot, disks: await onNewLayer(spec), memory }
    const begun = Date.now()
    await driver.machines.start(its)
    await driver.machines.detachNic(vm, spec.nics[0]!, never)
    const nics = [aCard(1)]
    await driver.machines.attachNic(vm, nics[0]!, 'deb-clone')
    return { spec: { ...its, nics }, port: 0, begun }
  }

  async function onNewLayer({ disks: [disk] }: MachineSpec): Promise<MachineSpec['disks']> {
    const layer = aLayer()
    const facts = await driver.layers.facts(disk.chain.at(-1)!)
    await driver.layers.fork(layer, disk.chain, facts!.virtualBytes, anOwner)
    return [{ ...disk, chain: [...disk.chain, layer] as unknown as LayerChain }]
  }

  function aLayer() {
    return { pool: made.pool, id: newId<'layer'>() }
  }
})

function aCard(deviceId: number): NatNicSpec {
  return {
    kind: 'user-nat',
    id: newId<'nic'>(),
    deviceId,
    mac: `52:54:00:00:00:0${deviceId + 1}`,
    outward: false,
    sshPort: null,
  }
}

function identityOf({ firstBoot, nics }: MachineSpec, ageMs: number): GuestIdentity {
  return { ...firstBoot, cards: nics.map(({ mac }) => ({ mac, address: '10.0.2.15' })), ageMs }
}
