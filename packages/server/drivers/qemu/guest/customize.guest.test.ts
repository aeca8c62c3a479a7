// Clones of a running machine, each with the memory of its source, become somebody of their own through the guest agent.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterClone, identityProblems as problems } from '@ramet/core/identity.ts'
import { newId } from '@ramet/core/ids.ts'
import { anOwner } from '../../contract.ts'
import type { Driver, GuestIdentity, LayerChain, MachineSpec } from '../../driver.ts'
import { aQemuDriver, type QemuUnderTest } from '../a-driver.ts'
import { aTinyMachine, answers, inGuest, tiny, untilAnswers } from './a-tiny.ts'
import { machineIdOf } from './customize.ts'

const run = promisify(execFile)
const never = new AbortController().signal
const limitMs = 60_000
const hook = `printf '#!/bin/sh\\ncat /etc/hostname /etc/machine-id >> /root/told\\n[ ! -e /root/fail ] || exit 3\\n' > ${afterClone}`
/** Restarted by hand, since the script that restarts it knows no options. */
const agentWithout = (commands: string) =>
  `busybox killall agent qemu-ga; d=$(ls -d /dev/vport*p1); (qemu-ga -b ${commands} -m virtio-serial -p $d -t /run -f /run/agent/pid >/dev/null 2>&1 </dev/null &)`

interface Guest {
  readonly spec: MachineSpec
  readonly port: number
  readonly begun: number
}

describe('identity of clones', { skip: tiny ? false : 'tiny cannot be built here' }, () => {
  let made: QemuUnderTest
  let driver: Driver
  let key: string
  let source: Guest
  let clones: readonly Guest[]
  const said = (guest: Guest, command: string) => inGuest(key, guest.port, command).then(text => text.trim())
  const customize = (guest: Guest, about: Partial<GuestIdentity> = {}) =>
    driver.machines.customize(guest.spec.vm, { ...identityOf(guest), ...about }, limitMs, never)

  before(async () => {
    made = await aQemuDriver()
    driver = made.driver
    const machine = await aTinyMachine(made)
    key = machine.key
    source = await started(machine.spec)
    while ((await driver.machines.setClock(source.spec.vm, 1000)) !== 'set') await sleep(100) // its agent comes up after SSH
    await said(source, `mkdir -p /etc/ramet && ${hook} && chmod 755 ${afterClone}; sync`)
    clones = await clonesOf(source, 3)
  })
  after(() => made.dispose())

  test('their random numbers differ before anybody spoke with them', async () => {
    const drawn = await Promise.all([source, ...clones].map(each => said(each, 'head -c 32 /dev/urandom | base64')))
    assert.ok(
      drawn.every(text => text.length >= 44),
      drawn.join(),
    )
    assert.equal(new Set(drawn).size, drawn.length)
  })

  test('each gets a hostname, a machine-id, SSH host keys and a clock of its own, and confirms them', {
    timeout: limitMs,
  }, async () => {
    const keyBefore = await hostKey(source)
    assert.deepEqual(await Promise.all(clones.map(each => customize(each))), [[], [], []])
    for (const clone of clones) {
      assert.equal(await said(clone, 'hostname; cat /etc/hostname'), `${nameOf(clone)}\n${nameOf(clone)}`)
      assert.match(await said(clone, 'cat /etc/hosts'), new RegExp(`127\\.0\\.1\\.1 ${nameOf(clone)}$`, 'm'))
      assert.equal(await said(clone, 'cat /etc/machine-id'), machineIdOf(clone.spec.vm))
      const seconds = Number(await said(clone, 'date +%s'))
      assert.ok(Math.abs(seconds - Date.now() / 1000) < 5, `its clock says ${seconds}`)
    }
    const keys = await Promise.all([source, ...clones].map(hostKey))
    assert.equal(new Set(keys).size, keys.length)
    assert.equal(keys[0], keyBefore, 'the source keeps its own')
  })

  test('the script that the user put into the source ran once in each clone, after all that', async () => {
    for (const clone of clones)
      assert.equal(await said(clone, 'cat /root/told'), `${nameOf(clone)}\n${machineIdOf(clone.spec.vm)}`)
    assert.equal(await said(source, 'ls /root/told 2>&1 | grep -c "No such"'), '1')
  })

  test('a repeat, also by the next server, keeps what there is', async () => {
    const [clone] = clones as [Guest]
    const earlier = await stateOf(clone)
    assert.deepEqual(await customize(clone), [])
    await driver.close()
    driver = await made.again()
    await driver.machines.adopt()
    assert.deepEqual(await customize(clone), [])
    assert.deepEqual(await stateOf(clone), earlier)
  })

  describe('side by side, each with a guest of its own', { concurrency: true }, () => {
    test('a clone of a clone is somebody else again', async () => {
      const [clone] = clones as [Guest]
      const [second] = (await clonesOf(clone, 1)) as [Guest]
      assert.deepEqual(await customize(second), [])
      const [its, other] = [await stateOf(second), await stateOf(clone)]
      for (const [index, line] of its.entries()) assert.notEqual(line, other[index])
      await driver.machines.stop(second.spec.vm, 0, never)
    })

    test('it stays who it is when it restarts, although its seed is another than its source had', {
      timeout: limitMs,
    }, async () => {
      const clone = clones[1] as Guest
      const earlier = await stateOf(clone)
      await said(clone, 'reboot')
      while (await answers(clone.port)) await sleep(50)
      await untilAnswers(clone.port)
      assert.deepEqual(await stateOf(clone), earlier)
    })

    test('what is not as it should be is named', async () => {
      const clone = clones[2] as Guest
      const other = { mac: '52:54:00:00:00:09', address: null }
      const [card] = identityOf(clone).cards
      const cards = [{ mac: card!.mac, address: '10.9.9.9' }, other]
      const wrong = await driver.machines.customize(clone.spec.vm, { ...identityOf(clone), cards }, 10_000, never)
      assert.deepEqual(wrong, [problems.address(card!.mac), problems.card(other.mac)])
      await said(clone, 'touch /root/fail')
      assert.deepEqual(await customize(clone, { instanceId: newId<'vm'>() }), [problems.hookFailed(3)])
      await said(clone, 'rm /root/fail')
      assert.deepEqual(await customize(clone), [])
    })

    test('a machine whose memory is no copy of another, as far as can be seen, is told to share its random numbers', async () => {
      assert.deepEqual(await customize(source), [problems.rng])
    })
  })

  test('an agent that may do half of it does half of it, and one that is not there is said to be silent', async () => {
    const clone = clones[2] as Guest
    await said(clone, agentWithout('guest-exec,guest-network-get-interfaces'))
    const half = async () => driver.machines.customize(clone.spec.vm, identityOf(clone), 10_000, never)
    assert.deepEqual(await half(), [problems.noCommands, problems.cardsUntold])
    await said(clone, 'busybox killall agent qemu-ga')
    assert.deepEqual(await driver.machines.customize(clone.spec.vm, identityOf(clone), 500, never), [problems.noAgent])
  })

  async function started(spec: MachineSpec): Promise<Guest> {
    const begun = Date.now()
    const { sshPorts } = await driver.machines.start(spec)
    const port = sshPorts[spec.nics[0]!.id]!
    await untilAnswers(port)
    return { spec, port, begun }
  }

  /** All from one instant of it. */
  async function clonesOf(of: Guest, count: number): Promise<Guest[]> {
    const { spec } = of
    const memory = { pool: made.pool, id: newId<'memory-image'>() }
    const next = await onNewLayer(spec)
    const cut = { disk: spec.disks[0], layer: next[0].chain.at(-1)! }
    await driver.machines.cut(spec.vm, { disks: [cut], memory, quiesce: false }, () => {}, never)
    const specs = Array.from({ length: count }, async () => ({
      ...spec,
      vm: newId<'vm'>(),
      generationId: globalThis.crypto.randomUUID(),
      disks: await onNewLayer(spec),
      memory,
    }))
    source = of === source ? { ...source, spec: { ...spec, disks: next } } : source
    return Promise.all(
      (await Promise.all(specs)).map(each =>
        started({
          ...each,
          firstBoot: { ...each.firstBoot, instanceId: each.vm, hostname: `clone-${each.vm.slice(0, 8)}` },
        }),
      ),
    )
  }

  async function onNewLayer({ disks: [disk] }: MachineSpec): Promise<MachineSpec['disks']> {
    const layer = { pool: made.pool, id: newId<'layer'>() }
    const facts = await driver.layers.facts(disk.chain.at(-1)!)
    await driver.layers.fork(layer, disk.chain, facts!.virtualBytes, anOwner)
    return [{ ...disk, chain: [...disk.chain, layer] as unknown as LayerChain }]
  }

  async function stateOf(guest: Guest): Promise<string[]> {
    const told = 'hostname; cat /etc/machine-id; tail -n 1 /root/told'
    return [...(await said(guest, told)).split('\n'), await hostKey(guest)]
  }
})

const nameOf = ({ spec }: Guest) => spec.firstBoot.hostname

function identityOf({ spec, begun }: Guest): GuestIdentity {
  const cards = spec.nics.map(({ mac }) => ({ mac, address: '10.0.2.15' }))
  return { ...spec.firstBoot, cards, ageMs: Date.now() - begun }
}

/** As the network sees it. */
async function hostKey({ port }: Guest): Promise<string> {
  const { stdout } = await run('ssh-keyscan', ['-T', '10', '-t', 'ed25519', '-p', String(port), '127.0.0.1'])
  assert.match(stdout, / ssh-ed25519 /)
  return stdout.trim().split(' ').at(-1) ?? ''
}
