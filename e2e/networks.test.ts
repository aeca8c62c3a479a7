// Two networks that accounts made, with the same addresses, and a machine in each: what the API says and what the guests find.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { networkRefusal } from '@ramet/server/drivers/qemu/network/probe.ts'
import { buildTiny } from '../images/tiny/build.ts'
import { imageCache } from './image-cache.ts'
import { Cloud, list, type Machine, type World } from './world.ts'

const refusal = await networkRefusal()

describe('two networks with the same addresses', { timeout: 600_000, skip: refusal ?? false }, () => {
  let cloud: Cloud
  let template: string
  const networks: Record<string, string> = {}
  const machines: Record<string, Machine> = {}
  const ports: Record<string, number> = {}
  const names = ['red', 'blue']

  before(async () => {
    const { file } = await buildTiny({ directory: imageCache() })
    cloud = await Cloud.open()
    template = (await world().registerTemplate(file)).id
  })
  after(() => cloud?.close())

  const world = (): World => cloud.world

  const page = async (name: string) => {
    const answer = await fetch(`http://127.0.0.1:${ports[name]}/`, { headers: { connection: 'close' } })
    return (await answer.text()).trim()
  }

  test('each carry a request to the machine that is theirs', async () => {
    for (const name of names)
      networks[name] = (await world().makeNetwork(name, { networkdomain: 'lab.internal' })) as string
    await Promise.all(
      names.map(async name => {
        const nic = { networkids: networks[name] as string, ipaddress: '10.1.1.9' }
        machines[name] = await world().deploy(template, name, 'linked', nic)
        await world().awaitSsh(machines[name])
      }),
    )
    for (const [name, machine] of Object.entries(machines)) {
      assert.equal(await world().ssh(machine, 'hostname'), name)
      assert.match(await world().ssh(machine, 'busybox ip -4 -o addr'), / 10\.1\.1\.9\/24 /)
      const [shown] = await list(world().client, 'listVirtualMachines', 'virtualmachine', { id: machine.id })
      assert.equal(shown?.['ipaddress'], '10.1.1.9')
    }
  })

  test('each carry a web request to the machine that a rule leads to', async () => {
    for (const [name, machine] of Object.entries(machines)) {
      await world().serveName(machine)
      ports[name] = await world().forward(machine, networks[name] as string, 80)
      assert.equal(await page(name), name)
    }
    const [red, blue] = names.map(name => ports[name] as number)
    assert.notEqual(red, blue)
  })

  test('outlive the server, and lead to the same machines after it', async () => {
    await cloud.restart('SIGKILL')
    for (const [name, machine] of Object.entries(machines)) {
      assert.equal(await world().ssh(machine, 'hostname'), name)
      assert.equal(await page(name), name)
    }
  })

  test('keep their machines and connections while they are renamed and restarted', async () => {
    const id = networks['red'] as string
    const held = connect(ports['red'] as number, '127.0.0.1')
    await once(held, 'connect')
    await world().client.run('updateNetwork', { id, name: 'crimson', networkdomain: 'later.internal' })
    await world().client.run('restartNetwork', { id })
    held.write('GET / HTTP/1.0\r\n\r\n')
    assert.match(await text(held), /\r\n\r\nred\n$/)
    assert.equal(await page('red'), 'red')
    const asked = 'busybox wget -q -O - http://red.later.internal/'
    assert.equal(await world().ssh(machines['red'] as Machine, asked), 'red')
    await world().client.run('updateNetwork', { id, name: 'red' })
  })

  test('free a port with its machine, and nobody who gets its address is reached by it', async () => {
    await world().expunge(machines['red'] as Machine)
    await assert.rejects(page('red'))
    const nic = { networkids: networks['red'] as string, ipaddress: '10.1.1.9' }
    machines['red'] = await world().deploy(template, 'red', 'linked', nic)
    await world().awaitSsh(machines['red'])
    await world().serveName(machines['red'])
    assert.equal(await world().ssh(machines['red'], 'busybox wget -q -O - http://10.1.1.9/'), 'red')
    await assert.rejects(page('red'))
    assert.equal(await page('blue'), 'blue')
  })

  test('stay while their machines are there, and go after them', async () => {
    const id = networks['red'] as string
    await assert.rejects(world().client.run('deleteNetwork', { id }), /Machines have NICs in network red: red\./)
    for (const [name, machine] of Object.entries(machines)) {
      await world().expunge(machine)
      await world().client.run('deleteNetwork', { id: networks[name] as string })
    }
    const left = await list(world().client, 'listNetworks', 'network', { listall: true })
    assert.deepEqual(
      left.map(network => network['name']),
      ['default'],
    )
  })
})
