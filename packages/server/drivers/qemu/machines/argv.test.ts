import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseId } from '@ramet/core/ids.ts'
import type { LayerId, NicId, StoragePoolId, VmId } from '@ramet/core/ids.ts'
import type { LayerRef, MachineSpec, NatNicSpec } from '../../driver.ts'
import { aMachine } from '../../contract.ts'
import { machineArguments, machineOfArguments } from './argv.ts'
import { chainAsFilename } from '../disks/blockdev.ts'
import { machineFolder } from './machine-folder.ts'
import { portRefused, portsFromArguments } from '../process/ports.ts'

const id = <K extends string>(digit: string) =>
  parseId<K>('00000000-0000-4000-8000-000000000000'.replaceAll('0', digit))!
const pool = { id: id<'storage-pool'>('9') satisfies StoragePoolId, path: '/data/primary' }
const layer = (digit: string): LayerRef => ({ pool, id: id<'layer'>(digit) satisfies LayerId })
const vm: VmId = id<'vm'>('1')
const nic: NicId = id<'nic'>('2')

function aNic(outward: boolean): NatNicSpec {
  return { id: nic, deviceId: 0, mac: '02:00:4c:00:00:09', kind: 'user-nat', outward, sshPort: null }
}

function argumentsOf(about: Partial<MachineSpec> = {}, accelerator: 'kvm' | 'tcg' = 'tcg'): string[] {
  const spec = aMachine(layer('3'), { vm, nics: [aNic(false)], generationId: vm, ...about })
  const folder = machineFolder('/data/vms', vm)
  return machineArguments({ spec, folder, ports: { [nic]: 40022 }, accelerator, machineType: 'pc-q35-7.2' })
}

const valuesOf = (args: readonly string[], option: string) => args.filter((_, index) => args[index - 1] === option)

test('every device has an id and a place of its own', () => {
  const devices = valuesOf(argumentsOf(), '-device')
  for (const device of devices) assert.match(device, /(^|,)id=[\w-]+/)
  const places = devices.flatMap(device => /bus=[\w.-]+,addr=[\w.]+/.exec(device) ?? [])
  assert.equal(new Set(places).size, places.length)
})

test('the same machine gets the same command line, and a second disk moves nothing that was there', () => {
  assert.deepEqual(argumentsOf(), argumentsOf())
  const more = argumentsOf({
    disks: [
      { deviceId: 0, chain: [layer('3')] },
      { deviceId: 1, chain: [layer('4')] },
    ],
  })
  const gone = argumentsOf().filter(arg => !more.includes(arg))
  assert.deepEqual(
    gone.filter(arg => arg.startsWith('virtio')),
    [],
  )
})

test('every machine can be forked from its first boot on: a generation id, a line to its agent, one for taps, free ports for cards and disks', () => {
  for (const args of [argumentsOf(), argumentsOf({ nics: [] }), argumentsOf({}, 'kvm')]) {
    const devices = valuesOf(args, '-device')
    assert.ok(devices.includes(`vmgenid,id=vmgenid,guid=${vm}`))
    assert.ok(devices.some(device => /^virtserialport,.*chardev=agent,name=org\.qemu\.guest_agent\.0$/.test(device)))
    for (const socket of ['agent', 'taps'])
      assert.ok(valuesOf(args, '-chardev').some(each => each.startsWith(`socket,id=${socket},`)))
    for (const kind of ['nic', 'disk']) {
      const ports = devices.filter(device => device.startsWith(`pcie-root-port,id=${kind}-port-`)).length
      const used = devices.filter(device => device.includes(`bus=${kind}-port-`)).length
      assert.ok(ports - used >= 2, `${ports - used} free ports of ${kind}s`)
    }
  }
})

test('at least four root ports are empty', () => {
  const devices = valuesOf(argumentsOf(), '-device')
  const ports = devices
    .filter(device => device.startsWith('pcie-root-port'))
    .map(device => /id=([\w-]+)/.exec(device)?.[1])
  const used = new Set(devices.map(device => /bus=([\w-]*port[\w-]*)/.exec(device)?.[1]))
  assert.ok(ports.filter(port => !used.has(port)).length >= 4)
})

test('each layer names what it stands on, the base stands on nothing, and only the tip is written', () => {
  const args = argumentsOf({ disks: [{ deviceId: 0, chain: [layer('3'), layer('4'), layer('5')] }] })
  const nodes = valuesOf(args, '-blockdev')
    .map(text => JSON.parse(text))
    .filter(node => node.driver === 'qcow2')
  assert.deepEqual(
    nodes.map(node => node.backing),
    [null, nodes[0]['node-name'], nodes[1]['node-name']],
  )
  assert.deepEqual(
    nodes.map(node => node['read-only']),
    [true, true, false],
  )
  for (const node of nodes) {
    assert.equal(node.file.locking, 'on')
    assert.ok(node['node-name'].length <= 31)
  }
})

test('one base under two disks of a machine has two nodes', () => {
  const disks = [
    { deviceId: 0, chain: [layer('3'), layer('4')] },
    { deviceId: 1, chain: [layer('3'), layer('5')] },
  ] as const
  const names = valuesOf(argumentsOf({ disks }), '-blockdev').map(text => JSON.parse(text)['node-name'])
  assert.equal(new Set(names).size, names.length)
})

test('qemu-img is told the whole chain too', () => {
  const json = JSON.parse(chainAsFilename([layer('3'), layer('4')]).replace('json:', ''))
  assert.match(json.file.filename, /44444444/)
  assert.match(json.backing.file.filename, /33333333/)
  assert.equal(json.backing.backing, null)
})

test('the accelerator decides the processor', () => {
  assert.deepEqual(valuesOf(argumentsOf({}, 'kvm'), '-cpu'), ['host'])
  assert.deepEqual(valuesOf(argumentsOf({}, 'tcg'), '-cpu'), ['max'])
})

test('nothing secret is on the command line', () => {
  const firstBoot = {
    instanceId: 'i-1',
    hostname: 'web-1',
    sshKeys: ['ssh-ed25519 KEY'],
    passwordHash: '$6$salt$hash',
    userData: Buffer.from('token'),
  }
  assert.doesNotMatch(argumentsOf({ firstBoot }).join(' '), /KEY|hash|token/)
})

test('a name cannot add an option', () => {
  const name = valuesOf(argumentsOf({ name: 'a,debug-threads=on' }), '-name')[0]
  assert.match(name ?? '', /,process=ramet-a-debug-$/)
})

test('a guest reaches nothing by its network unless it may', () => {
  assert.match(valuesOf(argumentsOf(), '-netdev')[0] ?? '', /,restrict=on,/)
  assert.match(valuesOf(argumentsOf({ nics: [aNic(true)] }), '-netdev')[0] ?? '', /,restrict=off,/)
})

test('a card that is silent reaches nothing and is reached by nothing', () => {
  const netdev = valuesOf(argumentsOf({ nics: [{ ...aNic(true), silent: true }] }), '-netdev')[0]
  assert.match(netdev ?? '', /,restrict=on/)
})

test('a guest is told the address that is planned for it', () => {
  const plan = { address: '10.1.0.77', cidr: '10.1.0.0/16', gateway: '10.1.0.1' }
  const netdev = valuesOf(argumentsOf({ nics: [{ ...aNic(false), plan }] }), '-netdev')[0]
  assert.match(netdev ?? '', /,net=10\.1\.0\.0\/16,host=10\.1\.0\.1,dhcpstart=10\.1\.0\.77,/)
})

test('a process is recognised by its command line, with its ports', () => {
  const args = argumentsOf()
  assert.deepEqual(machineOfArguments(['qemu-system-x86_64', ...args], '/data/vms'), { vm, isSuccessor: false })
  assert.equal(machineOfArguments(['qemu-system-x86_64', ...args], '/other/vms'), null)
  assert.equal(machineOfArguments(['vi', '-uuid'], '/data/vms'), null)
  assert.deepEqual(portsFromArguments(args), { [nic]: 40022 })
})

test('a port that QEMU could not bind is told from other failures', () => {
  assert.equal(
    portRefused("qemu-system-x86_64: -netdev user: Could not set up host forwarding rule 'tcp:127.0.0.1:40022-:22'"),
    40022,
  )
  assert.equal(portRefused('qemu-system-x86_64: -m: out of memory'), null)
})
