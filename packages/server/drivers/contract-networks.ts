// What every driver must do with guest networks; part of the contract's suite. A driver that has none refuses them.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { newId } from '@ramet/core/ids.ts'
import type { DriverUnderTest } from './contract.ts'
import type { LayerRef, MachineSpec, NetworkNicSpec } from './driver.ts'
import type { Forward, NetworkSpec } from './networks.ts'

type AMachine = (disk: LayerRef, about?: Partial<MachineSpec>) => MachineSpec
const notAborted = new AbortController().signal

export function networkContract(made: () => DriverUnderTest, aMachine: AMachine): void {
  const networks = () => made().driver.networks
  const inNetworks = async (act: () => Promise<void>) => {
    if (made().driver.capabilities.networks) return act()
    return assert.rejects(act(), { kind: 'unsupported', code: 'no-networks' })
  }

  test('a network is made twice, listed as sound, and removed twice', () =>
    inNetworks(async () => {
      const spec = aNetwork()
      for (const _ of ['first', 'again']) await networks().ensure(spec)
      assert.deepEqual(await entries(spec), [{ id: spec.id, trouble: null }])
      for (const _ of ['first', 'again']) await networks().remove(spec.id)
      assert.deepEqual(await entries(spec), [])
    }))

  test('a machine starts in two networks with the same addresses, which stay until it is off', () =>
    inNetworks(async () => {
      const [one, other] = [aNetwork(), aNetwork()]
      const spec = await aMachineIn(aCard(one), aCard(other, { deviceId: 1 }))
      const { sshPorts } = await made().driver.machines.start(spec)
      assert.deepEqual(Object.keys(sshPorts).toSorted(), spec.nics.map(nic => nic.id).toSorted())
      await assert.rejects(networks().remove(one.id), { kind: 'in-use', code: 'network-in-use' })
      await gone(spec)
      for (const { id } of [one, other]) await networks().remove(id)
    }))

  test('an address is in a network once, until its machine is discarded or the card released', () =>
    inNetworks(async () => {
      const network = aNetwork()
      const [first, second] = [await aMachineIn(aCard(network)), await aMachineIn(aCard(network))]
      await made().driver.machines.start(first)
      const taken = { kind: 'in-use', code: 'address-in-use' }
      await assert.rejects(made().driver.machines.start(second), taken)
      await made().driver.machines.stop(first.vm, 0, notAborted)
      await assert.rejects(made().driver.machines.start(second), taken)
      for (const _ of ['first', 'again']) await networks().release(network.id, first.nics[0]!.id)
      await made().driver.machines.start(second)
      await assert.rejects(made().driver.machines.start(first), taken)
      await gone(second)
      await made().driver.machines.start(first)
      await gone(first)
      await networks().remove(network.id)
    }))

  test('a machine keeps its port for SSH while it is off, and gives it up with the rest', () =>
    inNetworks(async () => {
      const network = aNetwork()
      const spec = await aMachineIn(aCard(network))
      const { sshPorts } = await made().driver.machines.start(spec)
      await made().driver.machines.stop(spec.vm, 0, notAborted)
      const sshPort = sshPorts[spec.nics[0]!.id] ?? null
      const again = { ...spec, nics: spec.nics.map(nic => ({ ...nic, sshPort })) }
      assert.deepEqual((await made().driver.machines.start(again)).sshPorts, sshPorts)
      const ssh = { vm: spec.vm, nic: spec.nics[0]!.id }
      const to = { address: '10.1.1.5', port: 22 }
      assert.deepEqual(await forwardsOf(network), [
        { address: '127.0.0.1', port: sshPort, network: network.id, to, ssh },
      ])
      await gone(spec)
      assert.deepEqual(await forwardsOf(network), [])
      await networks().remove(network.id)
    }))

  test('a card is plugged into a running machine once, its place is nobody else’s, and it stays in its network until it is pulled out', () =>
    inNetworks(async () => {
      const [network, other] = [aNetwork(), aNetwork()]
      const spec = await aMachineIn(aCard(network))
      const { machines } = made().driver
      await machines.start(spec)
      const card = aCard(other, { deviceId: 1 })
      for (const _ of ['first', 'again']) {
        const { sshPorts } = await machines.attachNic(spec.vm, card, 'web-1')
        assert.deepEqual(Object.keys(sshPorts).toSorted(), [spec.nics[0]!.id, card.id].toSorted())
      }
      assert.equal((await forwardsOf(other)).length, 1)
      const third = aCard(other, { deviceId: 1, address: '10.1.1.6' })
      await assert.rejects(machines.attachNic(spec.vm, third, 'web-1'), { kind: 'in-use', code: 'device-in-use' })
      await assert.rejects(machines.attachNic(spec.vm, aCard(other, { deviceId: 2 }), 'web-1'), {
        code: 'address-in-use',
      })
      await machines.detachNic(spec.vm, third, notAborted) // it is not there, and what is there stays
      await assert.rejects(networks().remove(other.id), { code: 'network-in-use' })
      await machines.stop(spec.vm, 0, notAborted) // no guest is here to let go of it
      for (const _ of ['first', 'again']) await machines.detachNic(spec.vm, card, notAborted)
      assert.deepEqual(await forwardsOf(other), [])
      await networks().remove(other.id)
      await gone(spec)
      await networks().remove(network.id)
    }))

  test('a card of a machine that is off is left alone; pulled out, its network forgets it', () =>
    inNetworks(async () => {
      const network = aNetwork()
      const [spec, second] = [await aMachineIn(aCard(network)), await aMachineIn(aCard(network))]
      const { machines } = made().driver
      assert.deepEqual((await machines.attachNic(spec.vm, spec.nics[0]!, 'web-1')).sshPorts, {})
      await machines.start(spec)
      await machines.stop(spec.vm, 0, notAborted)
      for (const _ of ['first', 'again']) await machines.detachNic(spec.vm, spec.nics[0]!, notAborted)
      assert.deepEqual(await forwardsOf(network), [])
      await machines.start(second)
      for (const each of [second, spec]) await gone(each)
      await networks().remove(network.id)
    }))

  test('a card is made the default one twice, and one that is nowhere is left alone', () =>
    inNetworks(async () => {
      const network = aNetwork()
      const spec = await aMachineIn(aCard(network))
      await made().driver.machines.start(spec)
      for (const isDefault of [false, true, true]) await networks().setDefault(network.id, spec.nics[0]!.id, isDefault)
      await networks().setDefault(network.id, newId<'nic'>(), true)
      await networks().setDefault(newId<'network'>(), spec.nics[0]!.id, true)
      await gone(spec)
      await networks().remove(network.id)
    }))

  test('a card that is silent takes no address from another, and is pulled out', () =>
    inNetworks(async () => {
      const network = aNetwork()
      const [first, copy] = [
        await aMachineIn(aCard(network)),
        await aMachineIn(aCard(network, { silent: true }), aCard(network, { deviceId: 1, address: '10.1.1.6' })),
      ]
      const { machines } = made().driver
      await machines.start(first)
      assert.deepEqual(Object.keys((await machines.start(copy)).sshPorts), [copy.nics[1]!.id])
      for (const each of [first, copy]) await gone(each)
      await networks().remove(network.id)
    }))

  test('a forward is made twice, led elsewhere, and ended twice; its port is nobody else’s', () =>
    inNetworks(async () => {
      const [network, other] = [aNetwork(), aNetwork()]
      for (const each of [network, other]) await networks().ensure(each)
      const forward: Forward = {
        address: '127.0.0.1',
        port: await aFreePort(),
        network: network.id,
        to: { address: '10.1.1.5', port: 80 },
        ssh: null,
      }
      for (const _ of ['first', 'again']) await networks().forward(forward)
      const elsewhere = { ...forward, to: { ...forward.to, port: 8080 } }
      await networks().forward(elsewhere)
      assert.deepEqual(await forwardsOf(network), [elsewhere])
      await assert.rejects(networks().forward({ ...forward, network: other.id }), {
        kind: 'in-use',
        code: 'port-in-use',
      })
      for (const _ of ['first', 'again']) await networks().unforward(forward.address, forward.port)
      assert.deepEqual(await forwardsOf(network), [])
      await networks().forward({ ...forward, network: other.id })
      for (const { id } of [network, other]) await networks().remove(id)
      assert.deepEqual(await forwardsOf(other), [])
    }))

  test('there is no forward into a network that is not there', () =>
    inNetworks(async () => {
      const network = newId<'network'>()
      const to = { address: '10.1.1.5', port: 80 }
      const forward = { address: '127.0.0.1', port: await aFreePort(), network, to, ssh: null }
      await assert.rejects(networks().forward(forward), (error: { kind: string; code: string }) => {
        if (error.code === 'no-networks') throw error as unknown as Error
        return error.kind === 'unavailable' && error.code === 'network-missing'
      })
    }))

  async function entries({ id }: NetworkSpec) {
    return (await networks().list()).filter(each => each.id === id)
  }

  async function forwardsOf({ id }: NetworkSpec): Promise<Forward[]> {
    return (await networks().forwards()).filter(({ network }) => network === id)
  }

  async function aMachineIn(...nics: NetworkNicSpec[]): Promise<MachineSpec> {
    const disk = { pool: made().pool, id: newId<'layer'>() }
    await made().driver.layers.blank(disk, 2 ** 30, { accountNumber: 7 })
    return aMachine(disk, { nics })
  }

  async function gone({ vm }: MachineSpec): Promise<void> {
    await made().driver.machines.stop(vm, 0, notAborted)
    await made().driver.machines.discard(vm)
  }
}

export function aNetwork(about: Partial<NetworkSpec> = {}): NetworkSpec {
  return { id: newId<'network'>(), cidr: '10.1.1.0/24', gateway: '10.1.1.1', domain: 'lab.internal', ...about }
}

export function aCard(network: NetworkSpec, about: Partial<NetworkNicSpec> = {}): NetworkNicSpec {
  const [id, deviceId] = [newId<'nic'>(), 0]
  const mac = `02:00:${id.slice(0, 8).replaceAll(/(..)(?=.)/g, '$1:')}`
  const ssh = { forwardSsh: true, sshPort: null }
  return {
    id,
    deviceId,
    mac,
    kind: 'network',
    network,
    address: '10.1.1.5',
    ...ssh,
    isDefault: !about.deviceId,
    ...about,
  }
}

export async function aFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  return typeof address === 'object' && address ? address.port : 0
}
